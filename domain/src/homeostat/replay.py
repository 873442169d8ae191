"""Recorded incidents under two policies, compared: the honest core of simulation.

Each policy is replayed with the history that its *own* decisions would have made, as far as recorded outcomes tell. The
recorded ending counts only for a policy that would have carried out the same action; any other repair was never tried,
and counts as having healed. What a person approved is approved again where the same action is asked for.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from homeostat.budget import History, PastRun
from homeostat.decision import Act, Ask, Decision, decide
from homeostat.incident import Incident
from homeostat.outcome import Ending
from homeostat.policy import Policy
from homeostat.policy_merge import effective
from homeostat.policy_values import PERIOD_MAX


@dataclass(frozen=True, slots=True)
class RecordedIncident:
    """An incident, when it was decided (aware, in the endpoint's zone), and how the repair ended if there was one.

    `action` is what was carried out, and `approved` whether it took a person's yes.
    """

    incident: Incident
    decided_at: datetime
    ending: Ending | None = None
    action: str = ""
    approved: bool = False


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
    """Yield, per incident, what each policy decides; the incidents must come in the order of their decisions."""
    ours: dict[str, History] = {}
    theirs: dict[str, History] = {}
    for one in recorded:
        yield Comparison(one.incident, _replayed(one, current, ours), _replayed(one, candidate, theirs))


def _replayed(one: RecordedIncident, policy: Policy, histories: dict[str, History]) -> Decision:
    incident, at = one.incident, one.decided_at
    history = histories.get(incident.endpoint_id, History())
    decision = decide(incident, effective(policy, incident.labels, at), history, at)
    run = _run(one, decision, policy)
    if run is not None:
        # No budget looks back further than PERIOD_MAX, so a long recording needs no more memory than that.
        still_counted = (past for past in history.runs if past.started_at > at - PERIOD_MAX)
        histories[incident.endpoint_id] = History((*still_counted, run))
    return decision


def _run(one: RecordedIncident, decision: Decision, policy: Policy) -> PastRun | None:
    """Return the healing run that the decision would have led to, if any."""
    if not isinstance(decision, Act | Ask):
        return None
    incident = one.incident
    is_the_recorded = one.ending is not None and policy.playbooks[decision.playbook].action == one.action
    if isinstance(decision, Ask) and not (is_the_recorded and one.approved):
        return None
    ending = one.ending if is_the_recorded else Ending.HEALED
    approved = isinstance(decision, Ask)
    rule = decision.reason.rule
    return PastRun(decision.playbook, incident.subject, incident.fault, rule, one.decided_at, ending, approved)
