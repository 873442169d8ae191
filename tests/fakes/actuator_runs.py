"""Orders, runs and outcomes for the tests of what keeps them."""

from datetime import datetime, timedelta

from homeostat.diagnosis import FaultClass
from homeostat.healing import Run, Stage
from homeostat.outcome import Ending, Outcome
from homeostat.playbook import Playbook
from homeostat.subject import Subject, SubjectKind
from homeostat.wire.outcomes import outcome_to_wire
from homeostat_agent.actuator.order import Order

NUMBERS = {"cpu_runaway_percent": 90.0, "disk_used_percent": 90.0}
WEB = Subject(SubjectKind.SERVICE, "web")


def order(run_id: str = "run-1", *, pack_id: str = "", nonce: bytes = b"", playbook: Playbook | None = None) -> Order:
    made = playbook or Playbook("restart", "restart_service", settle=timedelta(seconds=2))
    return Order(run_id, "incident-1", FaultClass.SERVICE_DOWN, WEB, "rule-1", made, NUMBERS, pack_id, nonce)


def run(run_id: str, at: datetime, stage: Stage = Stage.PRECHECKING, ending: Ending | None = None) -> Run:
    return Run(run_id, "incident-1", "restart", stage, at, ending=ending)


def outcome(run_id: str, at: datetime, ending: Ending = Ending.HEALED) -> bytes:
    made = Outcome(run_id, "incident-1", "restart", "restart_service", WEB, ending, "Why.", at, at)
    return outcome_to_wire(made).SerializeToString()
