"""Recorded incidents under two policies, compared: the honest core of simulation.

Each policy is replayed with the history that its *own* decisions would have made, as far as recorded outcomes tell: a
repair that only one policy would have tried has no recorded ending and counts as having healed.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from homeostat.budget import History, PastRun
from homeostat.decision import Act, Decision, decide
from homeostat.incident import Incident
from homeostat.outcome import Ending
from homeostat.policy import Policy
from homeostat.policy_merge import effective


@dataclass(frozen=True, slots=True)
class RecordedIncident:
    """An incident, when it was decided (aware, in the endpoint's zone), and how the repair ended if there was one."""

    incident: Incident
    decided_at: datetime
    ending: Ending | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """What each policy decides about one incident."""

    incident: Incident
    current: Decision
    candidate: Decision

    @property
    def differs(self) -> bool:
        """Whether the candidate decides something else, or for another reason."""
        return self.current != self.candidate


def replay(recorded: Iterable[RecordedIncident], current: Policy, candidate: Policy) -> Iterator[Comparison]:
    """Yield, per incident in the order given, what each policy decides."""
    ours: dict[str, History] = {}
    theirs: dict[str, History] = {}
    for one in recorded:
        yield Comparison(one.incident, _replayed(one, current, ours), _replayed(one, candidate, theirs))


def _replayed(one: RecordedIncident, policy: Policy, histories: dict[str, History]) -> Decision:
    incident, at = one.incident, one.decided_at
    history = histories.get(incident.endpoint_id, History())
    decision = decide(incident, effective(policy, incident.labels, at), history, at)
    if isinstance(decision, Act):
        ending = one.ending or Ending.HEALED
        run = PastRun(decision.playbook, incident.subject, incident.fault, decision.reason.rule, at, ending)
        histories[incident.endpoint_id] = History((*history.runs, run))
    return decision
