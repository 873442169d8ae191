import os
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import grpc
import pytest

from fakes.link_controller import CHUNK_BYTES, Controller, abort
from homeostat_agent.config import AgentConfig
from homeostat_agent.decider.link.artifacts import ArtifactError, fetch_artifact
from homeostat_agent.decider.link.channel import connect
from homeostat_agent.decider.link.identity import load_identity

CONTENT = os.urandom(5 * CHUNK_BYTES + 123)
DIGEST = sha256(CONTENT).digest()


@pytest.fixture
def channel(config: AgentConfig) -> Iterator[grpc.Channel]:
    identity = load_identity(config)
    assert identity is not None
    opened = connect(identity.link_address, identity.authority_pem, identity)
    yield opened
    opened.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "artifacts"
    made.mkdir()
    return made


def names(folder: Path) -> list[str]:
    return sorted(one.name for one in folder.iterdir())


def test_content_is_fetched_whole_and_only_once(controller: Controller, channel: grpc.Channel, folder: Path) -> None:
    controller.artifacts[DIGEST] = CONTENT
    path = fetch_artifact(channel, DIGEST, folder)
    assert path.read_bytes() == CONTENT
    assert fetch_artifact(channel, DIGEST, folder) == path
    assert len(controller.fetches) == 1
    assert names(folder) == [DIGEST.hex()]


def test_a_torn_fetch_goes_on_where_it_ended(controller: Controller, channel: grpc.Channel, folder: Path) -> None:
    controller.artifacts[DIGEST] = CONTENT
    for _ in range(2):
        controller.next_time("FetchArtifact", lambda _: None, after=True)
        controller.next_time("FetchArtifact", abort(grpc.StatusCode.UNAVAILABLE), after=True)
        with pytest.raises(ArtifactError, match="told to"):
            fetch_artifact(channel, DIGEST, folder)
    assert fetch_artifact(channel, DIGEST, folder).read_bytes() == CONTENT
    assert [one.offset for one in controller.fetches] == [0, 2 * CHUNK_BYTES, 4 * CHUNK_BYTES]


def test_content_that_is_not_what_was_asked_for_never_appears(
    controller: Controller, channel: grpc.Channel, folder: Path
) -> None:
    controller.artifacts[DIGEST] = CONTENT[:-1] + b"!"
    with pytest.raises(ArtifactError, match="not what was asked for"):
        fetch_artifact(channel, DIGEST, folder)
    assert names(folder) == []
    controller.artifacts[DIGEST] = CONTENT
    assert fetch_artifact(channel, DIGEST, folder).read_bytes() == CONTENT


def test_a_part_that_was_spoilt_on_disk_is_fetched_anew(
    controller: Controller, channel: grpc.Channel, folder: Path
) -> None:
    controller.artifacts[DIGEST] = CONTENT
    (folder / f".{DIGEST.hex()}.part").write_bytes(b"spoilt" * 1000)
    with pytest.raises(ArtifactError, match="not what was asked for"):
        fetch_artifact(channel, DIGEST, folder)
    assert fetch_artifact(channel, DIGEST, folder).read_bytes() == CONTENT


@pytest.mark.parametrize(("bytes_max", "fits"), [(len(CONTENT), True), (len(CONTENT) - 1, False)])
def test_the_length_is_bounded(
    controller: Controller, channel: grpc.Channel, folder: Path, bytes_max: int, fits: bool
) -> None:
    controller.artifacts[DIGEST] = CONTENT
    if fits:
        assert fetch_artifact(channel, DIGEST, folder, bytes_max).exists()
    else:
        with pytest.raises(ArtifactError, match="above"):
            fetch_artifact(channel, DIGEST, folder, bytes_max)
        assert names(folder) == []


def test_what_is_not_there_is_an_error(controller: Controller, channel: grpc.Channel, folder: Path) -> None:
    with pytest.raises(ArtifactError, match="there is no such artifact"):
        fetch_artifact(channel, DIGEST, folder)


def test_a_folder_that_is_not_there_is_an_error(controller: Controller, channel: grpc.Channel, folder: Path) -> None:
    with pytest.raises(ArtifactError, match="cannot be written: No such file"):
        fetch_artifact(channel, DIGEST, folder / "absent")
