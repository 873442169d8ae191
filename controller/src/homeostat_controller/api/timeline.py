"""An incident's way as steps: detected → decided → pre-check → acted → verified or undone. Pure.

Invariant: each step says what an agent or a person reported; what did not happen yet is marked so, never told as done.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from homeostat.wire.v1 import incident_pb2
from homeostat_controller.api import sentences
from homeostat_controller.api.schemas import Step
from homeostat_controller.api.times import of_timestamp
from homeostat_controller.store.approvals import PackDetail
from homeostat_controller.store.incidents import DecisionView, IncidentDetail, OutcomeView

# Decisions repeat while an incident lasts; of equal ones in a row only the first is a step.
STEPS_MAX = 60
_STAGES = {"prechecking": "pre-check", "acting": "acted", "verifying": "verified", "rolling-back": "undone"}
_NOT_YET = ("pre-check", "acted", "verified")
_ANSWERS = {
    "approved": "Approved; the endpoint has not confirmed it yet.",
    "used": "Approved; the endpoint acted on it.",
    "denied": "Denied.",
    "expired": "Nobody answered in time.",
    "void": "Void: the endpoint or its state changed.",
}


def steps_of(detail: IncidentDetail, packs: Sequence[PackDetail]) -> list[Step]:
    """Return an incident's steps in the order in which they happened, at most STEPS_MAX of the newest."""
    dated: list[tuple[datetime, int, list[Step]]] = [(detail.view.opened_at, 0, [_detected(detail)])]
    dated += [(one.at, 1, [_decided(one)]) for one in _without_repeats(detail.decisions)]
    dated += [(pack.view.created_at, 2, list(_asked(pack))) for pack in packs]
    dated += [(one.started_at, 3, list(_run(one))) for one in detail.outcomes]
    dated.sort(key=lambda entry: entry[:2])
    steps = [step for _, _, some in dated for step in some]
    return [*steps, *_ending(detail, steps)][-STEPS_MAX:]


def _detected(detail: IncidentDetail) -> Step:
    view, evidence = detail.view, sentences.of_evidence(detail.message.evidence)
    said = f"{view.fault} on {view.subject}, confidence {view.confidence:.2f}"
    return Step(
        step="detected", state="done", at=view.opened_at, sentence=said, details=[one.sentence for one in evidence]
    )


def _without_repeats(decisions: Sequence[DecisionView]) -> Iterator[DecisionView]:
    last: tuple[str, str, str] | None = None
    for one in decisions:
        key = (one.kind, one.playbook, one.sentence)
        if key != last:
            yield one
        last = key


def _decided(decision: DecisionView) -> Step:
    what = f"{decision.kind}: {decision.sentence}" if decision.sentence else decision.kind
    details = [f"rule {decision.rule}"] if decision.rule else []
    details += [f"playbook {decision.playbook}"] if decision.playbook else []
    details += [f"policy {decision.policy} r{decision.policy_revision}"] if decision.policy else []
    details += [f"under full delegation it would have been: {decision.would}"] if decision.would else []
    return Step(step="decided", state="done", at=decision.at, sentence=what, details=details)


def _asked(pack: PackDetail) -> Iterator[Step]:
    view = pack.view
    waiting = view.status == "waiting"
    said = f"A person was asked about {view.playbook}, risk {view.risk}."
    yield Step(
        step="asked",
        state="waiting" if waiting else "done",
        at=view.created_at,
        sentence="Waits for a person's yes or no." if waiting else said,
        details=sentences.of_steps(pack.message.plan.forward),
        approval_id=view.id,
    )
    if not waiting:
        why = [view.reason] if view.reason else []
        by = f" By {view.decided_by}." if view.decided_by else ""
        state = "done" if view.status in ("approved", "used") else "failed"
        said = _ANSWERS.get(view.status, view.status) + by
        yield Step(step="answered", state=state, at=view.decided_at, sentence=said, details=why, approval_id=view.id)


def _run(outcome: OutcomeView) -> Iterator[Step]:
    """Tell one healing run: a step for each of its stages, with the stage's last word."""
    by_stage: dict[str, list[incident_pb2.RunStep]] = {}
    for note in outcome.message.steps:
        by_stage.setdefault(note.stage, []).append(note)
    known = [stage for stage in _STAGES if stage in by_stage]
    for stage in known:
        *before, last = by_stage[stage]
        yield _step(
            _STAGES[stage],
            _state_of(stage, outcome.ending, is_last=stage == known[-1]),
            of_timestamp(last, "at"),
            last.detail or outcome.reason,
            [note.detail for note in before if note.detail],
        )
    if not known:
        yield _step("acted", outcome.ending, outcome.ended_at, f"{outcome.ending}: {outcome.reason}", [])


def _step(step: str, state: str, at: datetime | None, sentence: str, details: list[str]) -> Step:
    return Step.model_validate({"step": step, "state": state, "at": at, "sentence": sentence, "details": details})


def _state_of(stage: str, ending: str, *, is_last: bool) -> str:
    if stage == "rolling-back":
        return "done" if ending == "rolled-back" else "failed"
    if ending == "healed" or not (is_last or stage == "verifying"):
        return "done"
    return "unverified" if ending == "unverified" else "failed"


def _ending(detail: IncidentDetail, steps: Sequence[Step]) -> Iterator[Step]:
    """Tell how it stopped without a repair, or what is still to come."""
    view, last = detail.view, steps[-1]
    if view.closed_at is not None:
        if not detail.outcomes:
            how = f"Over: {view.how_closed}." if view.how_closed else "Over."
            yield Step(step="closed", state="done", at=view.closed_at, sentence=how)
    elif last.step in ("asked", "answered") and last.state != "failed":
        for name in _NOT_YET:
            yield _step(name, "skipped", None, "not yet", [])
    elif last.step == "decided" and view.decision == "act":
        yield Step(step="pre-check", state="current", at=None, sentence="A repair is under way.")
