import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from fakes.actuator_clock import HandClock
from fakes.actuator_host import FakeHost, FakeService
from fakes.actuator_rig import ENDPOINT_ID, Signer, incident, policy, subject
from homeostat.exception_pack import Grant
from homeostat.incident import Incident
from homeostat.policy import Level, Policy
from homeostat.wire import plans
from homeostat.wire.incidents import incident_to_wire
from homeostat.wire.v1 import actuation_pb2, incident_pb2
from homeostat_agent import VERSION, trust
from homeostat_agent.actuator.authority import Authority
from homeostat_agent.actuator.database import open_database
from homeostat_agent.actuator.enrolment import Enrolment
from homeostat_agent.actuator.healer import Healer
from homeostat_agent.actuator.host.port import CheckResult
from homeostat_agent.actuator.inbox import Connected, Inbox, Stop, Tidy
from homeostat_agent.actuator.journal import Journal
from homeostat_agent.actuator.policy_store import PolicyStore
from homeostat_agent.actuator.port import Stopping
from homeostat_agent.actuator.worker import REPEAT_S, RUN_ID_CHARACTERS_MAX, Decider, Worker
from homeostat_agent.verification import Kind, Refused, Verified

WEB = subject("service", "web")
CRASH = incident(WEB)


def verify(kind: Kind, signed: bytes, trusted_keys: bytes) -> Verified | Refused:
    return trust.verify(kind, signed, trusted_keys)


@dataclass
class Post:
    """The way to a decider that is there or not; keeps what it was sent and what it would be told first."""

    there: bool = True
    sent: list[actuation_pb2.ActuatorMessage] = field(default_factory=list)
    ready: actuation_pb2.Ready = field(default_factory=actuation_pb2.Ready)
    on_send: Callable[[], None] = lambda: None

    def send(self, message: actuation_pb2.ActuatorMessage) -> bool:
        self.on_send()
        if self.there:
            self.sent.append(message)
        return self.there

    def publish(self, ready: actuation_pb2.Ready) -> None:
        self.ready = ready

    def take(self, kind: str) -> list[actuation_pb2.ActuatorMessage]:
        """Return and forget what was sent of a kind."""
        found = [one for one in self.sent if one.WhichOneof("message") == kind]
        self.sent = [one for one in self.sent if one not in found]
        return found


class Office:
    """A worker with its journal, an endpoint in memory and a decider at the other end of the line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.signer = Signer()
        self.clock = HandClock()
        self.service = FakeService()
        self.host = FakeHost(self.clock, {"web": self.service}, {"report": {}})
        self.post = Post()
        self.inbox = Inbox()
        self.broken = False
        self.tidied = 0
        self.on_tidy: Callable[[], None] = lambda: None
        self.open()

    def open(self) -> None:
        """Begin, as a started process does."""
        self.connection = open_database(self.path)
        self.journal = Journal(self.connection)
        self.trusted = self.signer.trusted_keys()
        authority = Authority(PolicyStore(self.connection), verify, self.enrolment, self.journal.is_used)
        healer = Healer(self.journal, self.host, self.clock, lambda _run, _step: None)
        self.worker = Worker(healer, authority, Decider(self.post.send, self.post.publish), self.tidy)

    def enrolment(self) -> Enrolment:
        if self.broken:
            raise RuntimeError("broken")
        return Enrolment(ENDPOINT_ID, {}, self.trusted)

    def tidy(self) -> None:
        self.tidied += 1
        self.on_tidy()

    def say(self, **message: object) -> None:
        self.worker.answer(actuation_pb2.DeciderMessage(**message))  # type: ignore[arg-type]  # one field each

    def use(self, offered: Policy) -> actuation_pb2.PolicyVerdict:
        self.say(use_policy=actuation_pb2.UsePolicy(signed=self.signer.policy(offered)))
        (verdict,) = self.post.take("policy_verdict")
        return verdict.policy_verdict

    def heal(self, run_id: str = "run-1", about: Incident = CRASH, playbook: str = "restart") -> None:
        self.say(heal=actuation_pb2.Heal(run_id=run_id, incident=incident_to_wire(about), playbook=playbook))

    def propose(self, about: Incident = CRASH, playbook: str = "restart") -> actuation_pb2.Proposal:
        wanted = actuation_pb2.Propose(pack_id="pack-1", incident=incident_to_wire(about), playbook=playbook)
        self.say(propose=wanted)
        (answer,) = self.post.take("proposal")
        assert answer.proposal.pack_id == "pack-1"
        return answer.proposal

    def heal_as_approved(self, run_id: str = "run-1") -> None:
        """Approve the plan that would be carried out now, and later have it carried out."""
        self.approve(self.propose().plan, run_id)

    def approve(self, proposed: incident_pb2.Plan, run_id: str = "run-1") -> None:
        plan = plans.plan_from_wire(proposed)
        grant = Grant(
            "pack-1",
            ENDPOINT_ID,
            CRASH.id,
            "restart",
            plan.state_digest,
            plans.digest(plan),
            1,
            "somebody",
            self.clock.now() + timedelta(hours=1),
            b"nonce",
        )
        heal = actuation_pb2.Heal(run_id=run_id, incident=incident_to_wire(CRASH), playbook="restart")
        heal.grant.CopyFrom(self.signer.grant(grant))
        self.say(heal=heal)

    def outcomes(self) -> list[incident_pb2.Outcome]:
        return [one.outcome for one in self.post.take("outcome")]

    def refusals(self) -> list[tuple[str, str, str]]:
        """Return run, pack and code of each refusal since the last call."""
        found = [one.heal_refused for one in self.post.take("heal_refused")]
        return [(one.run_id, one.pack_id, one.reason.code) for one in found]


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = Office(tmp_path / "journal.db")
    yield made
    made.connection.close()


# Policies.


def test_a_good_policy_is_taken_and_a_bad_one_is_not(office: Office) -> None:
    verdict = office.use(policy())
    assert (verdict.accepted, verdict.reason, len(verdict.sha256)) == (True, "", 32)
    assert office.post.ready.policy_sha256 == verdict.sha256
    office.signer = Signer()
    refused = office.use(policy(2))
    assert not refused.accepted
    assert refused.reason
    assert office.post.ready.policy_sha256 == verdict.sha256


# Healing.


def test_a_delegated_repair_is_carried_out_and_told(office: Office) -> None:
    office.use(policy())
    office.heal()
    (outcome,) = office.outcomes()
    assert (outcome.run_id, outcome.ending) == ("run-1", incident_pb2.ENDING_HEALED)
    assert office.service.pid
    assert (office.host.tidied, office.tidied) == (1, 1)


def test_without_a_policy_nothing_is_done(office: Office) -> None:
    office.heal()
    assert office.refusals() == [("run-1", "", "no-policy")]
    assert office.host.steps == []
    assert office.journal.find("run-1") is None


def test_what_the_policy_does_not_delegate_is_refused_with_its_reason(office: Office) -> None:
    office.use(policy(level=Level.ASK))
    office.heal()
    (message,) = office.post.take("heal_refused")
    reason = message.heal_refused.reason
    assert (reason.code, reason.rule, reason.sentence) == ("level", "restart-it", "Rule restart-it is at level ask.")
    assert office.host.steps == []


def test_the_journal_s_own_history_counts(office: Office) -> None:
    office.use(policy())
    for number in range(3):
        office.service.pid = 0
        office.heal(f"run-{number}")
    assert len(office.journal.history(office.clock.now()).runs) == 3


@pytest.mark.parametrize("run_id", ["", "x" * (RUN_ID_CHARACTERS_MAX + 1), "a\nb"])
def test_a_run_needs_a_sensible_id(office: Office, run_id: str) -> None:
    office.use(policy())
    office.heal(run_id)
    assert office.refusals() == [(run_id, "", "unreadable")]


def test_the_longest_id_is_fine(office: Office) -> None:
    office.use(policy())
    office.heal("x" * RUN_ID_CHARACTERS_MAX)
    assert len(office.outcomes()) == 1


def test_an_incident_that_cannot_be_read_is_refused(office: Office) -> None:
    office.use(policy())
    wrong = incident_to_wire(CRASH)
    wrong.fault = "no-such-fault"
    office.say(heal=actuation_pb2.Heal(run_id="run-1", incident=wrong, playbook="restart"))
    office.say(heal=actuation_pb2.Heal(run_id="run-2"))
    assert [code for _run, _pack, code in office.refusals()] == ["unreadable", "unreadable"]


def test_a_run_asked_for_again_is_not_done_again(office: Office) -> None:
    office.use(policy())
    office.heal()
    first = office.outcomes()
    office.heal()
    assert office.outcomes() == first
    assert len(office.host.steps) == 1


def test_a_run_asked_for_after_its_outcome_was_stored_is_refused(office: Office) -> None:
    office.use(policy())
    office.heal()
    office.say(outcome_stored=actuation_pb2.OutcomeStored(run_id="run-1"))
    office.outcomes()
    office.heal()
    assert office.refusals() == [("run-1", "", "known-run")]
    assert len(office.host.steps) == 1


# What breaks something is set aside.


def test_a_wish_that_breaks_something_is_refused_and_the_next_one_is_not(office: Office) -> None:
    office.use(policy())
    office.broken = True
    office.heal()
    assert office.refusals() == [("run-1", "", "unexpected")]
    assert not office.use(policy(2)).accepted
    office.broken = False
    office.heal("run-2")
    assert len(office.outcomes()) == 1


def test_a_journal_that_breaks_ends_the_work(office: Office) -> None:
    office.use(policy())
    office.connection.execute("DROP TABLE note")
    with pytest.raises(sqlite3.OperationalError):
        office.heal()


# Approvals.


def test_an_approved_repair_is_carried_out_once(office: Office) -> None:
    office.use(policy(level=Level.ASK))
    office.heal_as_approved()
    (outcome,) = office.outcomes()
    assert (outcome.ending, outcome.pack_id) == (incident_pb2.ENDING_HEALED, "pack-1")
    office.service.pid = 0
    office.heal_as_approved("run-2")
    assert office.refusals() == [("run-2", "pack-1", "grant-used")]


def test_an_approval_is_void_when_the_endpoint_has_changed(office: Office) -> None:
    office.use(policy(level=Level.ASK))
    proposed = office.propose().plan
    office.host.come_up(office.service)  # somebody has started it meanwhile
    office.approve(proposed)
    assert office.refusals() == [("run-1", "pack-1", "state-changed")]
    assert office.host.steps == []
    assert not office.journal.is_used(b"nonce")
    office.service.pid = office.service.started = 0
    office.approve(proposed, "run-2")  # it has changed back: the yes still holds
    assert len(office.outcomes()) == 1


def test_an_approved_repair_that_the_pre_check_refuses_ends_refused(office: Office) -> None:
    office.use(policy(level=Level.ASK))
    proposed = office.propose().plan
    office.service.check = CheckResult(passed=False, said="line 3")
    office.approve(proposed)
    (outcome,) = office.outcomes()
    assert (outcome.ending, outcome.pack_id) == (incident_pb2.ENDING_REFUSED, "pack-1")


# Proposals.


def test_a_proposal_is_the_plan_that_would_be_carried_out_and_does_nothing(office: Office) -> None:
    office.use(policy(level=Level.ASK))
    answer = office.propose()
    assert answer.refusal == ""
    assert answer.plan.forward[0].start_service.service == "web"
    assert len(answer.plan.state_digest) == 32
    assert (office.host.steps, office.journal.unfinished()) == ([], ())


def test_a_proposal_that_cannot_be_made_says_why(office: Office) -> None:
    assert "no policy" in office.propose().refusal
    office.use(policy())
    assert "no playbook" in office.propose(playbook="no-such").refusal
    assert "not for service:web" in office.propose(playbook="clean").refusal
    office.service.check = CheckResult(passed=False, said="line 3")
    assert "line 3" in office.propose().refusal
    office.say(propose=actuation_pb2.Propose(pack_id="pack-2", playbook="restart"))
    (answer,) = office.post.take("proposal")
    assert "cannot be read" in answer.proposal.refusal


# Outcomes that have to arrive.


def test_an_outcome_nobody_took_is_told_to_the_next_decider_until_it_is_stored(office: Office) -> None:
    office.use(policy())
    office.post.there = False
    office.heal()
    office.post.there = True
    assert office.outcomes() == []
    for _ in range(2):
        office.inbox.put_event(Connected())
    office.inbox.put_event(Stop())
    office.worker.work(office.inbox)
    assert [one.run_id for one in office.outcomes()] == ["run-1", "run-1"]
    office.say(outcome_stored=actuation_pb2.OutcomeStored(run_id="run-1"))
    office.inbox.put_event(Connected())
    office.inbox.put_event(Stop())
    office.worker.work(office.inbox)
    assert office.outcomes() == []


def test_an_unconfirmed_outcome_is_told_again_after_a_while(office: Office) -> None:
    office.use(policy())
    office.heal()
    assert len(office.outcomes()) == 1

    def later() -> None:
        office.post.on_send = lambda: office.inbox.put_event(Stop())
        office.clock.monotonic += REPEAT_S + 1.0

    office.on_tidy = later
    office.inbox.put_event(Tidy())
    office.worker.work(office.inbox)
    assert len(office.outcomes()) == 1


def test_outcomes_come_in_the_order_the_runs_began(office: Office) -> None:
    office.use(policy())
    for number in range(3):
        office.clock.forward(1)
        office.service.pid = 0
        office.heal(f"run-{number}")
    office.outcomes()
    office.inbox.put_event(Connected())
    office.inbox.put_event(Stop())
    office.worker.work(office.inbox)
    assert [one.run_id for one in office.outcomes()] == ["run-0", "run-1", "run-2"]


# Beginning, tidying, ending.


def test_a_start_settles_what_was_cut_off_and_takes_the_policy_up_again(office: Office) -> None:
    office.use(policy())
    office.clock.stopping = True
    with pytest.raises(Stopping):
        office.heal()
    office.clock.stopping = False
    office.connection.close()
    office.open()
    office.worker.tell_ready()
    assert list(office.post.ready.unfinished_runs) == ["run-1"]
    office.worker.start()
    (outcome,) = office.outcomes()
    assert (outcome.run_id, outcome.restarts) == ("run-1", 1)
    assert (office.post.ready.version, list(office.post.ready.unfinished_runs)) == (VERSION, [])
    assert len(office.post.ready.policy_sha256) == 32
    assert office.host.tidied == 1


def test_a_decider_that_connects_during_a_run_is_told_of_it(office: Office) -> None:
    office.use(policy())
    seen: list[list[str]] = []
    office.host.before_step = lambda _step: seen.append(list(office.post.ready.unfinished_runs))
    office.heal()
    assert seen == [["run-1"]]
    assert list(office.post.ready.unfinished_runs) == []


def test_messages_and_events_are_taken_in_turn_until_the_end(office: Office) -> None:
    office.inbox.put_message(
        actuation_pb2.DeciderMessage(use_policy=actuation_pb2.UsePolicy(signed=office.signer.policy(policy())))
    )
    office.inbox.put_event(Tidy())
    office.inbox.put_event(Stop())
    office.inbox.put_event(Tidy())
    office.worker.work(office.inbox)
    assert office.host.tidied == 1
    assert len(office.post.take("policy_verdict")) == 1


def test_a_message_of_a_later_version_is_passed_over(office: Office) -> None:
    office.worker.answer(actuation_pb2.DeciderMessage())
    assert office.post.sent == []
