from pathlib import Path

import pytest

from homeostat_controller import config
from homeostat_controller.demo import layout, processes, stage
from homeostat_controller.demo.layout import ENDPOINTS


def test_nothing_is_up_before_a_start(tmp_path: Path) -> None:
    assert not stage.is_up(layout.make(tmp_path / "demo"))


def test_the_controller_listens_on_loopback_only(tmp_path: Path) -> None:
    demo = layout.make(tmp_path / "demo")
    settings = config.load(environment=stage.controller_environment(demo))
    listeners = (settings.http_listen, settings.enrol_listen, settings.link_listen)
    assert [one.rpartition(":")[0] for one in listeners] == ["127.0.0.1"] * 3
    assert settings.data_dir == demo.controller


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda one: one.name)
def test_a_service_is_started_once_and_ended_with_the_rest(endpoint: layout.DemoEndpoint, tmp_path: Path) -> None:
    demo = layout.make(tmp_path / "demo")
    stage.start_service(demo, endpoint)
    first = processes.read_pid_file(demo.pid_file(endpoint))
    stage.start_service(demo, endpoint)
    assert first is not None
    assert processes.read_pid_file(demo.pid_file(endpoint)) == first
    stage.end(demo)
    assert not processes.is_alive(first)
    assert not demo.root.exists()
