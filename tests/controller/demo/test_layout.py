from pathlib import Path

import pytest

from homeostat_agent import config
from homeostat_controller.demo import layout


def test_ports_are_chosen_once_and_kept(tmp_path: Path) -> None:
    first = layout.make(tmp_path / "demo")
    assert layout.make(tmp_path / "demo") == first
    assert len(set(first.ports.values())) == len(layout.PORTS)


def test_the_folder_is_private(tmp_path: Path) -> None:
    made = layout.make(tmp_path / "demo")
    assert made.root.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("endpoint", layout.ENDPOINTS, ids=lambda one: one.name)
def test_every_configuration_is_one_the_agent_takes(endpoint: layout.DemoEndpoint, tmp_path: Path) -> None:
    made = layout.make(tmp_path / "demo")
    file = tmp_path / "agent.toml"
    file.write_text(layout.agent_toml(made, endpoint, tmp_path / "models"))
    loaded = config.load(file)
    assert loaded.agent.name == endpoint.name
    assert loaded.labels == endpoint.labels
    assert [one.name for one in loaded.service] == [endpoint.service]
    assert loaded.service[0].memory_max_mib == endpoint.memory_max_mib
    assert bool(loaded.watched_file) is endpoint.has_config_file
    assert bool(loaded.folder) is endpoint.has_cache
    assert bool(loaded.program) is endpoint.has_report


def test_sockets_fit_however_deep_the_folder_lies(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100) / "demo"
    made = layout.make(deep)
    assert len(str(made.run("kiosk-1") / "actuator.sock")) < 107
    assert made.runs.stat().st_mode & 0o077 == 0
    assert layout.make(deep) == made
    made.runs.rmdir()
