import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from homeostat_agent.actuator import listening
from homeostat_agent.actuator.listening import ListenError

ME = os.geteuid()


def test_the_socket_is_for_its_owner_and_group(tmp_path: Path) -> None:
    path = tmp_path / "run" / "actuator.sock"
    with listening.bind(path, ME):
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))


def test_what_an_earlier_actuator_left_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "actuator.sock"
    listening.bind(path, ME).close()
    with listening.bind(path, ME), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def test_the_umask_is_as_it_was(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        listening.bind(tmp_path / "actuator.sock", ME).close()
        assert os.umask(0o022) == 0o022
    finally:
        os.umask(before)


@pytest.mark.skipif(ME != 0, reason="only root gives files away")
def test_the_decider_s_user_owns_the_socket(tmp_path: Path) -> None:
    path = tmp_path / "actuator.sock"
    with listening.bind(path, 12345):
        assert path.stat().st_uid == 12345


@pytest.mark.parametrize("name", ["x" * 200, "file/actuator.sock"])
def test_a_place_that_cannot_be_listened_at_is_an_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ListenError):
        listening.bind(tmp_path / name, ME)


def test_nothing_was_handed_over_to_another_process() -> None:
    assert listening.handed_over({}, 7) is None
    assert listening.handed_over({"LISTEN_PID": "8", "LISTEN_FDS": "1"}, 7) is None


@pytest.mark.parametrize("count", ["0", "2", "x", ""])
def test_just_one_socket_is_expected(count: str) -> None:
    with pytest.raises(ListenError, match="one socket"):
        listening.handed_over({"LISTEN_PID": "7", "LISTEN_FDS": count}, 7)


TAKE = """
import os, sys
from homeostat_agent.actuator import listening
try:
    found = listening.handed_over(dict(LISTEN_PID="1", LISTEN_FDS="1"), 1)
except listening.ListenError as error:
    sys.exit(str(error))
print(found.getsockname(), os.get_inheritable(found.fileno()))
"""


def take(descriptor: int) -> "subprocess.CompletedProcess[str]":
    """Take the socket over in a process that has it as descriptor 3, as a service manager would leave it."""
    argv = (sys.executable, "-c", f"import os; os.dup2({descriptor}, 3); exec({TAKE!r})")
    return subprocess.run(argv, capture_output=True, text=True, check=False, pass_fds=(descriptor,))


def test_a_socket_is_taken_over_and_not_passed_on(tmp_path: Path) -> None:
    with listening.bind(tmp_path / "actuator.sock", ME) as listener:
        done = take(listener.fileno())
    assert done.stdout == f"{tmp_path}/actuator.sock False\n", done.stderr


def test_another_kind_of_socket_and_no_socket_are_refused(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as tcp, (tmp_path / "file").open("w") as file:
        assert "no Unix stream socket" in take(tcp.fileno()).stderr
        assert "handed over no socket" in take(file.fileno()).stderr
