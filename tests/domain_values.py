"""The plain values that the domain's tests start from."""

from datetime import UTC, datetime, timedelta

from homeostat.budget import History, PastRun
from homeostat.catalogue import Risk
from homeostat.diagnosis import FaultClass
from homeostat.evidence import Evidence, Signal, SignalKind
from homeostat.incident import Incident
from homeostat.outcome import Ending
from homeostat.playbook import Playbook
from homeostat.policy import Delegation, Level, Policy, Rule
from homeostat.subject import Subject, SubjectKind

NOW = datetime(2030, 1, 31, 12, 0, tzinfo=UTC)
WEB = Subject(SubjectKind.SERVICE, "web")
CACHE = Subject(SubjectKind.FOLDER, "cache")
EXITED = Signal(SignalKind.SERVICE_EXITED, WEB, NOW)
DOWN = Incident("i1", "e1", FaultClass.SERVICE_DOWN, WEB, 1.0, NOW, Evidence((EXITED,)))
PLAYBOOKS = {
    "restart": Playbook("restart", "restart_service"),
    "restart-slowly": Playbook("restart-slowly", "restart_service", settle=timedelta(seconds=30)),
    "clean-up": Playbook("clean-up", "free_disk_space"),
}
ACTING = Delegation(Level.ACT, highest_risk=Risk.MEDIUM)
RULE = Rule("restart-services", frozenset({FaultClass.SERVICE_DOWN}), ("service:*",), ("restart",), ACTING)
POLICY = Policy("web", playbooks=PLAYBOOKS, rules=(RULE,))


def past(minutes_ago: float, ending: Ending | None = Ending.HEALED, playbook: str = "restart") -> PastRun:
    """A run of RULE on WEB."""
    started = NOW - timedelta(minutes=minutes_ago)
    return PastRun(playbook, WEB, FaultClass.SERVICE_DOWN, RULE.name, started, ending)


def history(*runs: PastRun) -> History:
    return History(runs)
