"""A pipeline on a fake machine with a clock moved by hand: what the decider's tests start from."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TypeVar

from fakes.host import FakeHost
from fakes.moved_clock import MovedClock
from fakes.scorer import FakeScorer
from homeostat.catalogue import Risk
from homeostat.diagnosis import FaultClass
from homeostat.exception_pack import Grant
from homeostat.outcome import Ending, Outcome
from homeostat.plan import Plan, RestartService
from homeostat.playbook import Playbook
from homeostat.policy import Budget, Delegation, Level, Limits, Policy, Rule
from homeostat_agent.config import AgentConfig, Folder, Program, Service
from homeostat_agent.decider.effects import Effect, Effects, RecordPack, RequestProposal, StartHealing
from homeostat_agent.decider.health import Hindrance
from homeostat_agent.decider.pipeline import Endpoint, Pipeline, Restored
from homeostat_agent.decider.watching.events import ProcessExited

CONFIG = AgentConfig(
    service=(Service("web", command=("/bin/web",), pid_file="/run/web.pid"), Service("db", unit="db.service")),
    folder=(Folder("cache", "/var/cache/x", ("*.tmp",), limit_mib=100),),
    program=(Program("report", "/bin/report"),),
)
NOW = datetime(2030, 1, 31, 12, 0, tzinfo=UTC)
MANY = Budget(1000, timedelta(hours=1))
PLAN = Plan((RestartService("web"),), (), b"s" * 32, "web runs in a new process.")
E = TypeVar("E", bound=Effect)


def rule(name: str, fault: FaultClass, playbook: str, level: Level = Level.ACT, budget: Budget | None = None) -> Rule:
    delegation = Delegation(level, least_confidence=0.5, highest_risk=Risk.HIGH, budget=budget)
    return Rule(name, frozenset({fault}), ("*",), (playbook,) if playbook else (), delegation)


def policy(*rules: Rule, revision: int = 1, limits: Limits | None = None) -> Policy:
    playbooks = {
        "restart": Playbook("restart", "restart_service"),
        "clean": Playbook("clean", "free_disk_space"),
        "end": Playbook("end", "stop_process"),
    }
    return Policy("test", revision, rules=rules, playbooks=playbooks, limits=limits or Limits(MANY, MANY, MANY))


RESTART_IT = rule("restart-it", FaultClass.SERVICE_DOWN, "restart")
RESTART_HUNG = rule("restart-hung", FaultClass.SERVICE_HUNG, "restart")
CLEAN_IT = rule("clean-it", FaultClass.DISK_FULL, "clean")
ASK_IT = rule("ask-first", FaultClass.SERVICE_DOWN, "restart", Level.ASK)


def of(effects: Iterable[Effect], kind: type[E]) -> list[E]:
    return [one for one in effects if isinstance(one, kind)]


def one(effects: Iterable[Effect], kind: type[E]) -> E:
    (found,) = of(effects, kind)
    return found


def names(effects: Iterable[Effect]) -> list[str]:
    return [type(effect).__name__ for effect in effects]


@dataclass
class Stage:
    """A pipeline with everything it needs. Each step moves the clock by a second."""

    policy: Policy = field(default_factory=lambda: policy(RESTART_IT, RESTART_HUNG, CLEAN_IT))
    restored: Restored | None = None
    able: bool = True
    clock: MovedClock = field(default_factory=lambda: MovedClock(NOW))
    said: list[Effect] = field(default_factory=list)

    def __post_init__(self) -> None:
        numbers = count(1)
        self.host = FakeHost(CONFIG, self.clock)
        self.scorer = FakeScorer()
        self.pipeline = Pipeline(CONFIG, Endpoint("e1", {"role": "web"}), lambda: f"id-{next(numbers)}", self.restored)
        self.pipeline.scorer = self.scorer
        if self.policy.rules:
            self.pipeline.use_policy(self.policy, self.now)
        if not self.able:
            self.pipeline.hinder(Hindrance.ACTUATOR, "It is away.", self.now)

    @property
    def now(self) -> datetime:
        return self.clock.now

    def step(self, call: Callable[[], Effects]) -> Effects:
        self.clock.advance(timedelta(seconds=1))
        effects = call()
        self.said += effects
        return effects

    def tick(self, times: int = 1) -> Effects:
        effects: Effects = ()
        for _ in range(times):
            effects = self.step(lambda: self.pipeline.tick(self.host.read(), self.now))
        return effects

    def crash(self, service: str = "web") -> Effects:
        pid = self.host.end(service)
        return self.step(lambda: self.pipeline.happened(ProcessExited(service, pid, self.now), self.now))

    def ended(self, start: StartHealing, ending: Ending = Ending.HEALED, pack_id: str = "") -> Effects:
        """Let the actuator report; a healed service runs again."""
        if ending is Ending.HEALED:
            self.host.run(start.incident.subject.name)
        return self.step(lambda: self.pipeline.ended(outcome(start, self.now, ending, pack_id), self.now))

    def propose(self, request: RequestProposal, found: Plan | str = PLAN) -> Effects:
        return self.step(lambda: self.pipeline.proposed(request.pack_id, found, self.now))

    def pack(self) -> RecordPack:
        """Bring it to the point where a person is asked about the crashed service."""
        return self.pack_of(self.crash())

    def pack_of(self, effects: Effects) -> RecordPack:
        """Answer the request for a proposal among these effects."""
        return one(self.propose(one(effects, RequestProposal)), RecordPack)

    def grant(self, pack: RecordPack) -> Effects:
        return self.step(lambda: self.pipeline.granted(grant(pack, self.now), b"signed", self.now))


def outcome(start: StartHealing, now: datetime, ending: Ending = Ending.HEALED, pack_id: str = "") -> Outcome:
    return Outcome(
        run_id=start.run_id,
        incident_id=start.incident.id,
        playbook=start.playbook,
        action="restart_service",
        subject=start.incident.subject,
        ending=ending,
        reason="it runs" if ending is Ending.HEALED else "it does not",
        started_at=now,
        ended_at=now,
        pack_id=pack_id,
    )


def grant(pack: RecordPack, now: datetime) -> Grant:
    asked = pack.pack
    return Grant(
        pack_id=asked.id,
        endpoint_id="e1",
        incident_id=asked.incident.id,
        playbook=asked.decision.playbook,
        state_digest=b"s" * 32,
        plan_digest=b"p" * 32,
        policy_revision=asked.policy_revision,
        approver="ada",
        not_after=now + timedelta(hours=1),
        nonce=b"n",
    )
