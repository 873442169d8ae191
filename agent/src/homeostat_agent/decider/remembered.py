"""What the caseload remembers beyond open incidents: past runs, for the budgets, and what was answered about packs.

Both are bounded; the oldest is forgotten first.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace

from homeostat.budget import History, PastRun
from homeostat.diagnosis import FaultClass
from homeostat.outcome import Outcome
from homeostat_agent.decider.effects import SendReceipt

# As many as the store keeps.
RUNS_MAX = 5000
RECEIPTS_MAX = 64


class PastRuns:
    """The runs that budgets count, by their ids."""

    def __init__(self, past: Mapping[str, PastRun] | None = None) -> None:
        self._past: OrderedDict[str, PastRun] = OrderedDict(past or {})

    @property
    def history(self) -> History:
        """All of them, as decide() wants them."""
        return History(tuple(self._past.values()))

    def has(self, run_id: str) -> bool:
        """Say whether this run is remembered."""
        return run_id in self._past

    def has_ended(self, run_id: str) -> bool:
        """Say whether this run's ending is known."""
        past = self._past.get(run_id)
        return past is not None and past.ending is not None

    def begun(self, run_id: str, past: PastRun) -> None:
        """Count a run from its start on."""
        self._past[run_id] = past
        while len(self._past) > RUNS_MAX:
            self._past.popitem(last=False)

    def ended(self, outcome: Outcome) -> None:
        """Note a run's ending; one that is not remembered is counted by what its outcome says."""
        known = self._past.get(outcome.run_id) or unknown_run(outcome)
        self.begun(outcome.run_id, replace(known, ending=outcome.ending, cut_off=outcome.restarts > 0))

    def forget(self, run_id: str) -> None:
        """Count a run no more: it has not come about."""
        self._past.pop(run_id, None)


class Receipts:
    """What was answered about the last packs, to be answered again when the controller asks again."""

    def __init__(self) -> None:
        self._said: OrderedDict[str, SendReceipt] = OrderedDict()

    def get(self, pack_id: str) -> SendReceipt | None:
        """Return what was answered about a pack."""
        return self._said.get(pack_id)

    def answer(self, pack_id: str, result: str, reason: str = "") -> SendReceipt:
        """Make an answer and remember it."""
        receipt = SendReceipt(pack_id, result, reason)
        self._said[pack_id] = receipt
        while len(self._said) > RECEIPTS_MAX:
            self._said.popitem(last=False)
        return receipt


def unknown_run(outcome: Outcome) -> PastRun:
    """Return how the budgets see a run that this decider does not remember."""
    return PastRun(
        outcome.playbook,
        outcome.subject,
        FaultClass.UNEXPLAINED,
        "",
        outcome.started_at,
        approved=bool(outcome.pack_id),
    )
