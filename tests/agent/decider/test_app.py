import json
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fakes import actuator_rig
from fakes.actuator_rig import until
from fakes.endpoint_rig import EndpointRig
from homeostat_agent.config import AgentConfig, Service
from homeostat_agent.decider import app


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[EndpointRig]:
    made = EndpointRig(tmp_path / "endpoint", actuator_rig.policy()).prepare()
    yield made
    made.clean_up()


def test_without_a_model_the_agent_observes_and_says_why(rig: EndpointRig) -> None:
    for file in (rig.root / "models").iterdir():
        file.unlink()
    rig.start()
    until("a state", lambda: rig.state().health == "observing")
    until("the reason", lambda: "No model can be used" in rig.state().detail or "actuator" in rig.state().detail)
    assert rig.stop() == 0


def test_a_model_that_comes_later_ends_the_observing(rig: EndpointRig) -> None:
    kept = {file.name: file.read_bytes() for file in (rig.root / "models").iterdir()}
    for name in kept:
        (rig.root / "models" / name).unlink()
    rig.start()
    until("the reason", lambda: "No model can be used" in rig.state().detail)
    for name, content in kept.items():
        (rig.root / "models" / name).write_bytes(content)
    until("an endpoint that is well", rig.is_well)


def test_metrics_are_served_where_they_are_asked_for(rig: EndpointRig) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    text = rig.config_path.read_text()
    rig.config_path.write_text(text.replace("[agent]\n", f'[agent]\nmetrics_listen = "127.0.0.1:{port}"\n'))
    rig.start()
    until("an endpoint that is well", rig.is_well)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        said = answer.read().decode()
    assert "homeostat_agent_healthy 1.0" in said
    assert 'homeostat_endpoint_metric{metric="' in said


def refused(rig: EndpointRig, old: str, new: str) -> "subprocess.CompletedProcess[str]":
    rig.config_path.write_text(rig.config_path.read_text().replace(old, new))
    return rig.command("run")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('/data"', '/agent.toml/data"', "cannot be made"),
        ("[agent]\n", '[agent]\nmetrics_listen = "0.0.0.0:9464"\n', "metrics_listen"),
    ],
)
def test_what_keeps_it_from_starting_is_said_without_a_traceback(
    rig: EndpointRig, old: str, new: str, said: str
) -> None:
    done = refused(rig, old, new)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert rig.actuators() == []


def test_a_second_agent_on_the_same_folder_does_not_start(rig: EndpointRig) -> None:
    rig.start()
    until("an endpoint that is well", rig.is_well)
    done = rig.command("run")
    assert done.returncode == 1
    assert "runs already" in done.stderr


def test_a_new_start_goes_on_under_the_accepted_policy(rig: EndpointRig) -> None:
    rig.start()
    until("an endpoint that is well", rig.is_well)
    assert rig.stop() == 0
    rig.start()
    until("an endpoint that is well", rig.is_well)
    assert json.loads(rig.command("status", "-o", "json").stdout)["policy"] == "test r1"


def test_the_host_and_its_facts_are_to_be_had_without_an_agent() -> None:
    host = app.host(
        AgentConfig(service=(Service("web", command=("/bin/x",), pid_file="/none"),)), lambda: datetime.now(UTC)
    )
    assert host.read().services[0].name == "web"
    facts = app.facts(dict(host.facts()))
    assert facts.cpus >= 1
    assert facts.memory_bytes > 0
