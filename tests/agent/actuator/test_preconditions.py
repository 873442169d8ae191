import grp
import os
import pwd
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from homeostat_agent.actuator import preconditions
from homeostat_agent.config import Actuator, Agent, AgentConfig, Service

ME = os.geteuid()
OWN = frozenset({0, ME})
SOMEBODY = 12345
as_root = pytest.mark.skipif(ME != 0, reason="only root gives files away")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Make an endpoint's folders, all of them well closed."""
    for name in ("etc", "etc/agent", "run", "data", "services"):
        (tmp_path / name).mkdir(mode=0o755)
    (tmp_path / "etc/agent/agent.toml").touch(mode=0o644)
    return tmp_path


def config(root: Path) -> AgentConfig:
    service = Service("web", command=("/bin/true",), pid_file=str(root / "services" / "web.pid"))
    return AgentConfig(Agent(run_dir=str(root / "run")), actuator=Actuator(data_dir=f"{root}/data"), service=(service,))


def objections(root: Path) -> tuple[str, ...]:
    return preconditions.objections(root / "etc/agent/agent.toml", config(root))


def test_closed_folders_are_well(root: Path) -> None:
    assert objections(root) == ()


PLACES = ["etc", "etc/agent", "etc/agent/agent.toml", "run", "data", "services"]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("mode", [0o777, 0o757, 0o707, 0o702, 0o722])
def test_what_everyone_can_write_is_refused_by_name(root: Path, place: str, mode: int) -> None:
    (root / place).chmod(mode)
    (sentence,) = objections(root)
    assert sentence.startswith(f"{root / place} is writable")


@as_root
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("mode", [0o775, 0o720])
def test_what_another_group_can_write_is_refused_by_name(root: Path, place: str, mode: int) -> None:
    os.chown(root / place, -1, SOMEBODY)
    (root / place).chmod(mode)
    assert objections(root) == (f"{root / place} is writable by group {SOMEBODY}; chmod g-w makes it safe",)


@as_root
@pytest.mark.parametrize("place", PLACES)
def test_what_belongs_to_another_user_is_refused_by_name(root: Path, place: str) -> None:
    os.chown(root / place, SOMEBODY, -1)
    (sentence,) = objections(root)
    assert sentence.startswith(f"{root / place} belongs to user {SOMEBODY}")


@as_root
def test_the_decider_may_own_the_socket_s_folder_and_nothing_else(root: Path) -> None:
    mine = AgentConfig(
        Agent(run_dir=str(root / "run")), actuator=Actuator(data_dir=str(root / "data"), decider_uid=SOMEBODY)
    )
    os.chown(root / "run", SOMEBODY, -1)
    assert preconditions.objections(root / "etc/agent/agent.toml", mine) == ()
    os.chown(root / "data", SOMEBODY, -1)
    assert len(preconditions.objections(root / "etc/agent/agent.toml", mine)) == 1


@as_root
def test_root_s_group_is_nobody_else(root: Path) -> None:
    os.chown(root / "data", 0, 0)
    (root / "data").chmod(0o775)
    assert objections(root) == ()


def test_a_sticky_folder_on_the_way_is_safe_but_not_at_the_end(root: Path) -> None:
    (root / "etc").chmod(0o1777)
    assert objections(root) == ()
    (root / "data").chmod(0o1777)
    assert len(objections(root)) == 1


def test_a_link_is_judged_by_its_way_and_by_where_it_leads(root: Path) -> None:
    (root / "data").rmdir()
    (root / "open").mkdir()
    (root / "open").chmod(0o777)
    (root / "open/real").mkdir(mode=0o700)
    (root / "data").symlink_to(root / "open/real")
    (sentence,) = objections(root)
    assert sentence.startswith(f"{root}/open is writable")
    (root / "open").chmod(0o755)
    assert objections(root) == ()


def test_folders_that_are_not_there_yet_are_no_objection_but_the_configuration_is(root: Path) -> None:
    (root / "data").rmdir()
    assert objections(root) == ()
    (root / "etc/agent/agent.toml").unlink()
    assert objections(root) == (f"{root}/etc/agent/agent.toml: No such file or directory",)


def test_every_objection_is_named_once(root: Path) -> None:
    (root / "run").chmod(0o777)
    (root / "data").chmod(0o777)
    assert len(objections(root)) == 2
    (root / "etc").chmod(0o777)
    root.chmod(0o777)
    assert len(objections(root)) == 1  # the first thing on everything's way


# What is imported later is not there for a user who may not read the interpreter's own files.
PRIVATE = """
import grp, os, pwd, sys
from pathlib import Path
from homeostat_agent.actuator import preconditions
os.setegid(int(sys.argv[2])); os.seteuid(int(sys.argv[3]))
print(preconditions.too_open(Path(sys.argv[1]), frozenset({0, int(sys.argv[3])})))
"""


@as_root
@pytest.mark.parametrize(("group", "refused"), [("nogroup", True), ("daemon", False)])
def test_a_user_s_own_private_group_may_write(group: str, refused: bool) -> None:
    user = pwd.getpwnam("daemon")
    gid = grp.getgrnam(group).gr_gid
    # Not below tmp_path, whose parents only this user may enter.
    with tempfile.TemporaryDirectory() as folder:
        os.chown(folder, user.pw_uid, gid)
        Path(folder).chmod(0o775)
        argv = (sys.executable, "-c", PRIVATE, folder, str(gid), str(user.pw_uid))
        done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert bool(done.stdout.strip()) is refused, done.stdout
