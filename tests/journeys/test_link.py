"""The agent's real link and the real controller: enrolment, policies, answers, and outages on both sides."""

import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from random import Random

import pytest
from fixtures_controller import closed, decided, opened, outcome, pack
from fixtures_link import QUICK, config_at, real_now
from fixtures_running import WAIT_S, Running, build, policy_text, wait_until

from homeostat.policy import Policy
from homeostat.wire.v1 import enrolment_pb2, incident_pb2, link_pb2, policy_pb2
from homeostat_agent.config import AgentConfig
from homeostat_agent.decider.link.enrolment import Applicant, enrol
from homeostat_agent.decider.link.link import Link
from homeostat_agent.decider.link.pace import Surroundings
from homeostat_agent.decider.store.recorder import Recorder, Stores
from homeostat_controller.store import approvals, audit, endpoints, events, incidents
from homeostat_controller.store.audit import AuditFilter
from homeostat_controller.store.conditions import Filter
from homeostat_controller.store.paging import PageRequest


class Listener:
    """What came down."""

    def __init__(self) -> None:
        self.policies: list[int] = []
        self.rejected: list[int] = []
        self.grants: list[policy_pb2.Signed] = []
        self.denials: list[str] = []

    def policy_accepted(self, policy: Policy, signed: policy_pb2.Signed) -> None:
        self.policies.append(policy.revision)

    def policy_rejected(self, ref: link_pb2.PolicyRef, reason: str) -> None:
        self.rejected.append(ref.revision)

    def granted(self, signed: policy_pb2.Signed) -> None:
        self.grants.append(signed)

    def denied(self, denial: link_pb2.Denial) -> None:
        self.denials.append(denial.pack_id)


class Endpoint:
    """An agent's store and link, as they are between two starts of the agent."""

    def __init__(self, folder: Path, config: AgentConfig, boot_id: str) -> None:
        self.listener = Listener()
        self.recorder = Recorder(folder / "store.db", 4 << 20, real_now)
        self.recorder.start()
        hello = link_pb2.Hello(agent_version="0.1.0", semantics=1, boot_id=boot_id, labels={"role": "web"})
        around = Surroundings(real_now, Random(1), QUICK)  # noqa: S311  # jitter, repeatable
        self.link = Link(config, self.recorder, self.listener, lambda: hello, around)
        self.link.start()

    def say(self, *said: link_pb2.Event) -> None:
        for event in said:
            self.recorder.submit(partial(_append, event.SerializeToString())).result(WAIT_S)
        self.link.outbox_changed()

    def waiting(self) -> int:
        return self.recorder.submit(lambda stores: stores.spool.state()).result(WAIT_S).records

    def stop(self) -> None:
        self.link.stop()
        self.recorder.stop()


def _append(body: bytes, stores: Stores) -> int:
    return stores.spool.append(body, outcome=True)


class Stage:
    """One controller and one endpoint, each of which can be stopped and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.controller = Running(build(folder / "controller"))
        ports = self.controller.ports
        self.listens: dict[str, object] = {
            "enrol_listen": f"127.0.0.1:{ports.enrol}",
            "link_listen": f"127.0.0.1:{ports.link}",
        }
        self.config = config_at(folder / "agent")
        applicant = Applicant("web-1", enrolment_pb2.EndpointFacts(hostname="web-1"))
        self.id = enrol(self.config, self.controller.token(), applicant, real_now()).endpoint_id
        self.starts = 0
        self.endpoint = self._endpoint()

    def restart_controller(self) -> None:
        self.controller = Running(build(self.folder / "controller", real_now, **self.listens))

    def restart_endpoint(self) -> None:
        self.endpoint.stop()
        self.endpoint = self._endpoint()

    def view(self) -> endpoints.EndpointDetail:
        with self.controller.core.database.read() as connection:
            return endpoints.get(connection, self.id)

    def verbs(self) -> set[str]:
        with self.controller.core.database.read() as connection:
            shown = audit.list_page(connection, AuditFilter(object_id=self.id), PageRequest()).items
        return {one.verb for one in shown}

    def close(self) -> None:
        self.endpoint.stop()
        self.controller.stop()

    def _endpoint(self) -> Endpoint:
        self.starts += 1
        started = Endpoint(self.folder, self.config, f"boot-{self.starts}")
        wait_until(lambda: started.link.connected)
        return started


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    before = set(threading.enumerate())
    made = Stage(tmp_path)
    yield made
    made.close()
    left = {one.name for one in set(threading.enumerate()) - before}
    assert not left & {"link", "uplink", "inbox", "controller"}


def test_a_policy_is_verified_accepted_and_shown_and_an_older_one_is_never_taken(stage: Stage) -> None:
    first = stage.controller.core.editing.publish_text("default", policy_text(), "anna")
    wait_until(lambda: stage.endpoint.listener.policies == [first.revision])
    wait_until(lambda: stage.view().policy.active_revision == first.revision)
    assert stage.view().view.labels == {
        "role": "web",
        "organisation": "default",
        "site": "default",
        "group": "default",
    }
    text = policy_text().replace("Restart what is down.", "Now with another text.")
    second = stage.controller.core.editing.publish_text("default", text, "anna")
    wait_until(lambda: stage.view().policy.active_revision == second.revision)
    assert stage.view().policy.last_good_revision == first.revision
    stage.restart_endpoint()
    wait_until(lambda: stage.view().boot_id == "boot-2")
    assert stage.endpoint.listener.rejected == []
    assert "suspect-clone" not in stage.verbs()


def test_a_policy_that_does_not_select_it_is_not_even_offered(stage: Stage) -> None:
    stage.controller.core.editing.publish_text("default", policy_text("db", "{role: db}"), "anna")
    web = stage.controller.core.editing.publish_text("default", policy_text("web", "{role: web}"), "anna")
    wait_until(lambda: stage.endpoint.listener.policies == [web.revision])


def story(number: int) -> list[link_pb2.Event]:
    name = f"inc-{number}"
    return [opened(name), decided(name), outcome(f"run-{number}", name), closed(name)]


def test_what_happens_while_the_controller_is_away_arrives_once_and_in_order(stage: Stage) -> None:
    stage.endpoint.say(*story(0))
    wait_until(lambda: stage.endpoint.waiting() == 0)
    for round_number in range(1, 3):
        stage.controller.stop()
        for number in range(25 * (round_number - 1) + 1, 25 * round_number + 1):
            stage.endpoint.say(*story(number))
        assert stage.endpoint.waiting() == 100
        stage.restart_controller()
        wait_until(lambda: stage.endpoint.waiting() == 0)
    with stage.controller.core.database.read() as connection:
        assert incidents.counts(connection) == {"healed": 51}
        assert incidents.outcomes(connection, Filter(), PageRequest(500)).total == 51
        assert [one.sequence for one in events.log(connection, stage.id, 1, 1000)] == list(range(1, 205))
    assert stage.verbs() == {"enrol"}  # no gap, no restart of the chain, no suspicion


def test_an_answer_finds_the_endpoint_after_both_were_restarted(stage: Stage) -> None:
    now = real_now()
    stage.endpoint.say(opened(at=now), pack(at=now), opened("inc-2", now), pack("pack-2", "inc-2", now))
    wait_until(lambda: stage.endpoint.waiting() == 0)
    stage.endpoint.stop()
    stage.controller.core.approvals.approve("pack-1", "anna")
    stage.controller.core.approvals.deny("pack-2", "otto", "not now")
    stage.controller.stop()
    stage.restart_controller()
    stage.restart_endpoint()
    wait_until(lambda: stage.endpoint.listener.grants and stage.endpoint.listener.denials)
    grant = incident_pb2.Grant.FromString(stage.endpoint.listener.grants[0].payload)
    assert (grant.pack_id, grant.approver, grant.endpoint_id) == ("pack-1", "anna", stage.id)
    assert stage.endpoint.listener.denials == ["pack-2"]
    stage.endpoint.link.send_receipt(link_pb2.Receipt(id="pack-1", result="accepted"))

    def status() -> str:
        with stage.controller.core.database.read() as connection:
            return approvals.get(connection, "pack-1").view.status

    wait_until(lambda: status() == "used")


def test_a_controller_put_back_to_an_older_state_gets_the_rest_and_shows_the_seam(stage: Stage) -> None:
    """The endpoint has deleted what was acknowledged, so the hole stays, but it is not hidden."""
    stage.endpoint.say(*story(0))
    wait_until(lambda: stage.endpoint.waiting() == 0)
    stage.controller.stop()
    data = stage.folder / "controller"
    older = {path.name: path.read_bytes() for path in data.glob("controller.db*")}
    stage.restart_controller()
    stage.endpoint.say(*story(1))
    wait_until(lambda: stage.endpoint.waiting() == 0)
    stage.controller.stop()
    for path in data.glob("controller.db*"):
        path.unlink()
    for name, content in older.items():
        (data / name).write_bytes(content)
    stage.restart_controller()
    stage.endpoint.say(*story(2))
    wait_until(lambda: stage.endpoint.waiting() == 0)
    with stage.controller.core.database.read() as connection:
        assert incidents.get(connection, "inc-2").view.status == "healed"
        assert audit.verify(connection).problem == ""
    assert "restart-chain" in stage.verbs()


def test_a_revoked_endpoint_hears_no_more_policies(stage: Stage) -> None:
    stage.controller.core.standings.revoke(stage.id, "anna", "sold")
    wait_until(lambda: not stage.endpoint.link.connected)
    stage.controller.core.editing.publish_text("default", policy_text(), "anna")
    stage.endpoint.say(*story(0))
    assert stage.endpoint.waiting() == 4
    assert stage.endpoint.listener.policies == []
