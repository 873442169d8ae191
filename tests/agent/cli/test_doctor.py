import socket
from pathlib import Path

import pytest

from homeostat_agent.cli import doctor
from homeostat_agent.config import Agent, AgentConfig, Controller, Folder


@pytest.fixture
def config(tmp_path: Path) -> AgentConfig:
    for name in ("data", "run", "models"):
        (tmp_path / name).mkdir(mode=0o700)
    agent = Agent(data_dir=str(tmp_path / "data"), run_dir=str(tmp_path / "run"), model_dir=str(tmp_path / "models"))
    return AgentConfig(agent=agent, folder=(Folder("cache", "/var/cache", ("*.tmp",)),))


def test_every_check_of_a_bare_endpoint_says_what_to_do(config: AgentConfig) -> None:
    for check in doctor.CHECKS:
        found = check(config)
        assert found.found
        assert found.ok or found.next


def test_a_configuration_that_declares_nothing_is_wrong() -> None:
    assert not doctor.check_config(AgentConfig()).ok


def test_folders_that_others_may_write_are_wrong(config: AgentConfig) -> None:
    assert doctor.check_folders(config).ok
    Path(config.agent.data_dir).chmod(0o777)
    found = doctor.check_folders(config)
    assert not found.ok
    assert "chmod go-w" in found.next


def test_an_endpoint_without_identity_is_told_how_to_enrol(config: AgentConfig) -> None:
    found = doctor.check_identity(config)
    assert not found.ok
    assert "enrol" in found.next


def test_an_actuator_that_listens_is_found(config: AgentConfig) -> None:
    assert not doctor.check_actuator(config).ok
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(config.actuator_socket))
        listener.listen()
        assert doctor.check_actuator(config).ok


def test_a_controller_that_is_away_is_unreachable_and_nothing_worse(config: AgentConfig) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    found = doctor.check_controller(AgentConfig(agent=config.agent, controller=Controller(link=address)))
    assert not found.ok
    assert found.is_unreachable


def test_a_controller_that_answers_is_reached(config: AgentConfig) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        assert doctor.check_controller(AgentConfig(agent=config.agent, controller=Controller(link=address))).ok
