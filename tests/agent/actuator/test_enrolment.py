from pathlib import Path

import pytest

from homeostat.wire.v1 import enrolment_pb2
from homeostat_agent.actuator.enrolment import ENDPOINT, FILE_BYTES_MAX, TRUSTED_KEYS, Enrolment, load
from homeostat_agent.config import Actuator, AgentConfig


def config(folder: Path) -> AgentConfig:
    return AgentConfig(actuator=Actuator(data_dir=str(folder)), labels={"role": "web", "zone": "own"})


def test_before_enrolment_nothing_is_trusted(tmp_path: Path) -> None:
    assert load(config(tmp_path)) == Enrolment("", {"role": "web", "zone": "own"}, b"")


def test_what_the_controller_said_stands_above_what_the_file_says(tmp_path: Path) -> None:
    answer = enrolment_pb2.EnrollResponse(endpoint_id="endpoint-1", labels={"zone": "given", "site": "b"})
    (tmp_path / ENDPOINT).write_bytes(answer.SerializeToString())
    (tmp_path / TRUSTED_KEYS).write_bytes(b"keys")
    assert load(config(tmp_path)) == Enrolment("endpoint-1", {"role": "web", "zone": "given", "site": "b"}, b"keys")


@pytest.mark.parametrize("content", [b"\xff\xff\xff", b"x" * (FILE_BYTES_MAX + 100)])
def test_a_file_that_cannot_be_read_is_no_enrolment(tmp_path: Path, content: bytes) -> None:
    (tmp_path / ENDPOINT).write_bytes(content)
    assert load(config(tmp_path)).endpoint_id == ""


def test_enrolling_anew_counts_at_once(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / ENDPOINT).write_bytes(enrolment_pb2.EnrollResponse(endpoint_id=name).SerializeToString())
        assert load(config(tmp_path)).endpoint_id == name
