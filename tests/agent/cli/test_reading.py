import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from homeostat.wire.v1 import incident_pb2, link_pb2
from homeostat_agent.decider.store.recorder import Recorder, Stores
from homeostat_agent.decider.store.state import ENDPOINT_STATE

AGENT = str(Path(sys.executable).with_name("homeostat-agent"))
NOW = datetime.now(UTC)
Agent = Callable[..., subprocess.CompletedProcess[str]]
Keep = Callable[[Callable[[Stores], object]], None]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "agent.toml"
    file.write_text(f'[agent]\nname = "web-7"\ndata_dir = "{tmp_path}"\n')
    return file


@pytest.fixture
def agent(config: Path) -> Agent:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        argv = [AGENT, *arguments, "--config", str(config)]
        return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)

    return run


@pytest.fixture
def keep(tmp_path: Path) -> Keep:
    def with_stores(work: Callable[[Stores], object]) -> None:
        recorder = Recorder(tmp_path / "decider.db", 1 << 20, lambda: NOW)
        recorder.start()
        recorder.submit(work).result(30)
        recorder.stop()

    return with_stores


def stamp() -> Timestamp:
    made = Timestamp()
    made.FromDatetime(NOW)
    return made


def incident(name: str) -> incident_pb2.Incident:
    subject = incident_pb2.Subject(kind="service", name="web")
    return incident_pb2.Incident(id=name, fault="service-down", subject=subject, confidence=1.0, opened_at=stamp())


def decision(kind: "incident_pb2.DecisionKind.ValueType") -> incident_pb2.Decision:
    return incident_pb2.Decision(kind=kind, at=stamp(), reason=incident_pb2.Reason(sentence="Because."))


def test_status_tells_health_policy_and_outbox(agent: Agent, keep: Keep) -> None:
    state = link_pb2.EndpointState(health="degraded", detail="web is down", at=stamp())
    keep(lambda stores: stores.state.set(ENDPOINT_STATE, state.SerializeToString()))
    said = agent("status", "-o", "json")
    assert said.returncode == 0, said.stderr
    found = json.loads(said.stdout)
    assert found["health"] == "degraded: web is down"
    assert found["policy"] == "none: observing only"


def test_an_old_state_is_not_told_as_present(agent: Agent, keep: Keep) -> None:
    state = link_pb2.EndpointState(health="ok", at=Timestamp(seconds=int(NOW.timestamp()) - 3600))
    keep(lambda stores: stores.state.set(ENDPOINT_STATE, state.SerializeToString()))
    assert json.loads(agent("status", "-o", "json").stdout)["health"].startswith("unknown")


def test_why_finds_by_the_beginning_and_by_last(agent: Agent, keep: Keep) -> None:
    keep(lambda stores: stores.incidents.opened(incident("abc123")))
    for name in ("abc", "last"):
        said = agent("why", name)
        assert said.returncode == 0, said.stderr
        assert [line.split()[0] for line in said.stdout.splitlines()[1:]] == [
            "detected",
            "decided",
            "pre-check",
            "acted",
            "verified",
        ]


def test_what_waits_for_a_person_has_an_exit_code_of_its_own(agent: Agent, keep: Keep) -> None:
    def work(stores: Stores) -> None:
        stores.incidents.opened(incident("abc"))
        stores.incidents.add("abc", decision(incident_pb2.DECISION_KIND_ASK))
        stores.incidents.add("abc", incident_pb2.ExceptionPack(id="p"))

    keep(work)
    assert agent("why", "abc").returncode == 3
    assert agent("status").returncode == 3


def test_what_a_person_denied_waits_for_nobody(agent: Agent, keep: Keep) -> None:
    def work(stores: Stores) -> None:
        stores.incidents.opened(incident("abc"))
        stores.incidents.add("abc", decision(incident_pb2.DECISION_KIND_ASK))
        stores.incidents.add("abc", incident_pb2.ExceptionPack(id="p"))
        stores.incidents.add("abc", link_pb2.Denial(pack_id="p", by="ada", reason="No."))

    keep(work)
    assert agent("status").returncode == 0
    assert agent("why", "abc").returncode == 0


def test_what_policy_lets_nobody_touch_has_one_too(agent: Agent, keep: Keep) -> None:
    def work(stores: Stores) -> None:
        stores.incidents.opened(incident("abc"))
        stores.incidents.add("abc", decision(incident_pb2.DECISION_KIND_OBSERVE))

    keep(work)
    assert agent("why", "abc").returncode == 4


@pytest.mark.parametrize(("asked", "said"), [("zzz", "No incident's id begins"), ("ab", "2 incidents begin")])
def test_an_incident_that_is_not_one(agent: Agent, keep: Keep, asked: str, said: str) -> None:
    def work(stores: Stores) -> None:
        stores.incidents.opened(incident("abc"))
        stores.incidents.opened(incident("abd"))

    keep(work)
    found = agent("why", asked)
    assert found.returncode == 2
    assert said in found.stderr


def test_incidents_are_listed_newest_first(agent: Agent, keep: Keep) -> None:
    keep(lambda stores: stores.incidents.opened(incident("abc")))
    assert [row["id"] for row in json.loads(agent("incidents", "-o", "json").stdout)] == ["abc"]


def test_the_outbox_lists_its_events(agent: Agent, keep: Keep) -> None:
    event = link_pb2.Event(at=stamp(), notice=link_pb2.Notice(code="x", sentence="X."))
    keep(lambda stores: stores.spool.append(event.SerializeToString()))
    rows = json.loads(agent("outbox", "-o", "json").stdout)
    assert [(row["sequence"], row["event"]) for row in rows] == [(1, "notice")]


def test_without_a_policy_that_is_said(agent: Agent, keep: Keep) -> None:
    keep(lambda _: None)
    said = agent("policy", "show")
    assert said.returncode == 1
    assert "No policy was accepted yet" in said.stderr
