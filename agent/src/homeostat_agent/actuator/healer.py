"""Carries out what the domain's healing table commands, one run at a time: journal first, then act.

What a run does next is decided in homeostat.healing and nowhere else. A run that was cut off goes on from what the
endpoint shows: no forward step is ever carried out a second time.
"""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta

from homeostat import healing
from homeostat.healing import Command, Done, DoneBadly, Event, NoData, Restarted, Run, Stage, TimedOut
from homeostat.outcome import Outcome, RunStep
from homeostat.plan import Refusal, Step
from homeostat.wire import outcomes
from homeostat_agent.actuator.fence import fenced
from homeostat_agent.actuator.host.port import Host, StepResult
from homeostat_agent.actuator.journal import TEXT_CHARACTERS_MAX, Journal, StepDone
from homeostat_agent.actuator.order import Before, Order
from homeostat_agent.actuator.planning import Planned, plan_afresh
from homeostat_agent.actuator.port import Clock
from homeostat_agent.actuator.verifiers import VERIFIERS, NotWell, Unknown, Verdict, Well

# A configuration test may take 10 s, a walk through a large folder as long.
PRECHECK_MAX = timedelta(seconds=30)
# Four processes with the longest grace of 60 s, or two steps of a slow service at systemd's own 90 s.
ACT_MAX = timedelta(seconds=300)
# The first looks come quickly, because most repairs work at once; a slow start is not hammered.
LOOK_S_FIRST = 0.005
LOOK_S_MAX = 0.25
LOOK_GROWTH = 1.5

FORWARD = "forward"
BACKWARD = "backward"


@dataclass(frozen=True, slots=True)
class Healer:
    """Carries out healing runs; `progress` tells the decider of each line of a run's record."""

    journal: Journal
    host: Host
    clock: Clock
    progress: Callable[[str, RunStep], None]

    def heal(self, order: Order, planned: Planned | None = None) -> Outcome:
        """Carry a new run to its end; `planned` is given where an approval was just held against it.

        Raises Stopping where the actuator is to end first; whoever starts next resumes the run.
        """
        now = self.clock.now()
        run = Run(order.run_id, order.incident_id, order.playbook.name, Stage.PRECHECKING, now + PRECHECK_MAX)
        attempt = _Attempt(self, order, now, planned)
        with self.journal.lazily():  # nothing is changed before the plan is written down
            self.journal.begin(order, run, now)
            said = attempt.note(run.stage, now, f"accepted for {order.subject} under rule {order.rule}")
        self.progress(order.run_id, said)
        return attempt.drive(run, Command.PRECHECK)

    def resume(self) -> tuple[Outcome, ...]:
        """Settle every run that was cut off, by what the endpoint shows now."""
        unfinished = self.journal.unfinished()
        if unfinished:
            self.host.recover()
        outcomes = []
        for kept in unfinished:
            attempt = _Attempt(self, kept.order, kept.started_at, before=kept.before)
            outcomes.append(attempt.drive(*attempt.move(kept.run, Restarted())))
        return tuple(outcomes)


@dataclass(slots=True)
class _Attempt:
    """One run while it goes on; `before` is what was there when it was planned, `outcome` is set at its end."""

    healer: Healer
    order: Order
    started_at: datetime
    planned: Planned | None = None
    before: Before | None = None
    outcome: Outcome | None = None

    def drive(self, run: Run, command: Command) -> Outcome:
        """Do what is commanded until the run has ended."""
        while command is not Command.REPORT:
            run, command = self.move(run, self._carry_out(run, command))
        assert self.outcome is not None  # noqa: S101  # REPORT comes with an ending only
        return self.outcome

    def move(self, run: Run, event: Event) -> tuple[Run, Command]:
        """Apply an event and write down where the run is now; an end is on disk with its outcome when this returns.

        Before a change of the endpoint, the commit is left to the first step, with which it makes one transaction.
        """
        now = self.healer.clock.now()
        moved, command = healing.advance(run, event, self._deadline(run, event, now))
        with self.healer.journal.lazily() if moved.stage is Stage.VERIFYING else nullcontext():
            said = self.note(run.stage, now, _said(event))
            self._write(moved, now)
        self.healer.progress(self.order.run_id, said)
        return moved, command

    def _write(self, moved: Run, now: datetime) -> None:
        journal = self.healer.journal
        if moved.ending is None:
            journal.save(moved, self.before)
            return
        self.outcome = self._ended(moved, now)
        journal.end(moved, outcomes.outcome_to_wire(self.outcome).SerializeToString())
        journal.commit()

    def note(self, stage: Stage, at: datetime, detail: str) -> RunStep:
        """Add a line to the run's record, and return it."""
        step = RunStep(stage.value, at, detail[:TEXT_CHARACTERS_MAX])
        self.healer.journal.note(self.order.run_id, step)
        return step

    def _carry_out(self, run: Run, command: Command) -> Event:
        plan = run.plan
        match command:
            case Command.CARRY_OUT_FORWARD if plan is not None:
                return self._act(run, FORWARD, plan.forward)
            case Command.CARRY_OUT_BACKWARD if plan is not None:
                return self._undo(run, plan.backward)
            case Command.SETTLE_AND_VERIFY:
                return self._settle_and_verify(run)
            case Command.PRECHECK:
                return self._precheck(run)
            case _:
                raise ValueError(f"run {run.id} is to {command} without a plan")

    def _precheck(self, run: Run) -> Event:
        began = self.healer.clock.elapsed()
        planned = self.planned or plan_afresh(self.healer.host, self.order.playbook.action, self.order.params)
        self.before = planned.before
        if self.healer.clock.elapsed() - began > self._left_s(run, PRECHECK_MAX):
            return TimedOut()
        match planned.plan:
            case Refusal(reason):
                return DoneBadly(reason)
            case plan:
                return healing.Planned(plan)

    def _undo(self, run: Run, steps: tuple[Step, ...]) -> Event:
        # The reason why it was undone stays the run's reason.
        match self._act(run, BACKWARD, steps):
            case Done():
                return Done()
            case DoneBadly(reason):
                return DoneBadly(f"{run.reason}; undoing it failed: {reason}")
            case event:
                return event

    def _act(self, run: Run, direction: str, steps: tuple[Step, ...]) -> Event:
        until = self.healer.clock.elapsed() + self._left_s(run, ACT_MAX)
        done = self.healer.journal.steps_done(run.id, direction)
        details = []
        for number, step in enumerate(steps):
            if number in done:
                continue
            left_s = until - self.healer.clock.elapsed()
            if left_s <= 0:
                return TimedOut()
            result = self._step(direction, number, step, left_s)
            if not result.ok:
                return DoneBadly(result.detail)
            details.append(result.detail)
        return Done(details[0] if len(details) == 1 else f"{len(details)} steps are done")

    def _step(self, direction: str, number: int, step: Step, within_s: float) -> StepResult:
        run_id, journal, clock = self.order.run_id, self.healer.journal, self.healer.clock
        # The first step waits for the disk, with the plan; the others are in the plan already.
        with nullcontext() if journal.is_writing() else journal.lazily():
            journal.step_begun(run_id, direction, number, clock.now())
        journal.commit()
        result = fenced(
            lambda: self.healer.host.run(step, within_s), lambda reason: StepResult(ok=False, detail=reason), run_id
        )
        with journal.lazily():
            journal.step_done(run_id, direction, number, StepDone(clock.now(), result.ok, result.detail))
        return result

    def _settle_and_verify(self, run: Run) -> Event:
        settle_s = self.order.playbook.settle.total_seconds()
        within_s = self.order.playbook.verify_within.total_seconds()
        left_s = self._left_s(run, self.order.playbook.settle + self.order.playbook.verify_within)
        self.healer.clock.pause(min(settle_s, max(0.0, left_s - within_s)))
        until = self.healer.clock.elapsed() + min(left_s, within_s)
        wait_s = LOOK_S_FIRST
        while True:
            verdict = fenced(self._look, Unknown, self.order.run_id)
            left_s = until - self.healer.clock.elapsed()
            event = _event(verdict, last=left_s <= 0)
            if event is not None:
                return event
            self.healer.clock.pause(min(wait_s, left_s))
            wait_s = min(wait_s * LOOK_GROWTH, LOOK_S_MAX)

    def _look(self) -> Verdict:
        verifier = VERIFIERS[self.order.playbook.verified_by]
        facts = self.healer.host.read(verifier.needs(self.order.params))
        return verifier.judge(facts, self.order.params, self.before)

    def _deadline(self, run: Run, event: Event, now: datetime) -> datetime:
        row = healing.TRANSITIONS.get((run.stage, type(event)))
        if row is None or row.stage is run.stage:
            return run.deadline  # a restart gives no more time
        playbook = self.order.playbook
        times = {
            Stage.ACTING: ACT_MAX,
            Stage.VERIFYING: playbook.settle + playbook.verify_within,
            Stage.ROLLING_BACK: ACT_MAX,
        }
        return now + times.get(row.stage, timedelta())

    def _left_s(self, run: Run, at_most: timedelta) -> float:
        """Return the seconds until the stage's deadline, whatever was done to the wall clock meanwhile."""
        return min(max(0.0, (run.deadline - self.healer.clock.now()).total_seconds()), at_most.total_seconds())

    def _ended(self, run: Run, now: datetime) -> Outcome:
        order = self.order
        assert run.ending is not None  # noqa: S101  # the caller's condition
        return Outcome(
            run.id,
            order.incident_id,
            order.playbook.name,
            order.playbook.action,
            order.subject,
            run.ending,
            run.reason or "the actuator was restarted before anything was changed",
            self.started_at,
            now,
            self.healer.journal.notes(run.id),
            order.pack_id,
            run.restarts,
        )


def _event(verdict: Verdict, *, last: bool) -> Event | None:
    """Turn a look at the subject into an event; None: look again."""
    match verdict:
        case Well(detail):
            return Done(detail)
        case NotWell(reason, final):
            return DoneBadly(reason) if last or final else None
        case Unknown(reason):
            return NoData(reason) if last else None


def _said(event: Event) -> str:
    match event:
        case healing.Planned(plan):
            return "; ".join((*plan.findings, plan.expected_effect))
        case Done(detail):
            return detail or "undone"
        case DoneBadly(reason) | NoData(reason):
            return reason
        case TimedOut():
            return "ran out of time"
        case Restarted():
            return "the actuator was restarted"
