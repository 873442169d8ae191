import json
from pathlib import Path

import pytest

from homeostat_controller.client.client import Target
from homeostat_controller.client.context import (
    ADDRESS_FILE,
    TOKEN_FILE,
    Given,
    checked_url,
    connect,
    file,
    find,
    forget,
    store,
)
from homeostat_controller.client.exits import CommandError, Exit

HERE = Target("http://127.0.0.1:8440", "secret")


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config")}


def own(folder: Path) -> Path:
    folder.mkdir()
    (folder / TOKEN_FILE).write_text("own\n")
    (folder / ADDRESS_FILE).write_text("http://127.0.0.1:1234\n")
    return folder


def test_what_login_stored_is_found_and_nobody_else_can_read_it(environ: dict[str, str]) -> None:
    path = store(HERE, environ)
    assert path.stat().st_mode & 0o777 == 0o600
    assert find(Given(), environ) == HERE
    store(Target("http://localhost:1", "other"), environ)
    assert find(Given(), environ).token == "other"
    assert path.stat().st_mode & 0o777 == 0o600
    assert forget(environ)
    assert not forget(environ)


def test_a_controllers_own_folder_comes_before_what_was_stored(environ: dict[str, str], tmp_path: Path) -> None:
    store(HERE, environ)
    folder = own(tmp_path / "data")
    wanted = Target("http://127.0.0.1:1234", "own")
    assert find(Given(data_dir=str(folder)), environ) == wanted
    assert find(Given(), {**environ, "HOMEOSTAT_DATA_DIR": str(folder)}) == wanted


def test_an_address_given_comes_first(environ: dict[str, str], tmp_path: Path) -> None:
    folder = own(tmp_path / "data")
    token = tmp_path / "token"
    token.write_text("given\n")
    everything = {**environ, "HOMEOSTAT_DATA_DIR": str(folder), "HOMEOSTAT_TOKEN_FILE": str(token)}
    given = Given(server="https://homeostat.example/")
    assert find(given, everything) == Target("https://homeostat.example", "given")
    assert find(given, environ).token == ""


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"url": "http://127.0.0.1:1"}', "\x00"])
def test_a_broken_context_is_said_so(environ: dict[str, str], content: str) -> None:
    path = file(environ)
    path.parent.mkdir(parents=True)
    path.write_text(content)
    with pytest.raises(CommandError, match="cannot be read"):
        find(Given(), environ)


def test_without_any_controller_the_error_names_the_cure(environ: dict[str, str]) -> None:
    with pytest.raises(CommandError) as caught:
        connect(Given(), environ)
    assert caught.value.code is Exit.USAGE
    assert "homeostat login" in caught.value.then


def test_an_empty_data_folder_is_said_so(environ: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"admin\.token does not exist"):
        find(Given(data_dir=str(tmp_path)), environ)


@pytest.mark.parametrize(
    "url",
    [
        "127.0.0.1:8440",
        "ftp://127.0.0.1",
        "http://",
        "http://127.0.0.1:port",
        "http://user:secret@127.0.0.1",
        "http://127.0.0.1/?q",
        "http://homeostat.example",
        "http://10.0.0.1:8440",
        "http://[::2]",
        "http://[",
    ],
)
def test_addresses_that_cannot_be_used(url: str) -> None:
    with pytest.raises(CommandError) as caught:
        checked_url(url)
    assert caught.value.code is Exit.USAGE


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8440", "http://localhost:1", "http://[::1]:8440", "https://homeostat.example"]
)
def test_addresses_that_can(url: str) -> None:
    assert checked_url(url + "/") == url


def test_only_whole_contexts_are_written(environ: dict[str, str]) -> None:
    path = store(HERE, environ)
    assert json.loads(path.read_text()) == {"url": HERE.url, "token": HERE.token}
    assert [one.name for one in path.parent.iterdir()] == [path.name]
