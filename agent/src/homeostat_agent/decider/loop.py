"""The decider's one thread of deciding: it takes what happened, samples when it is time, and carries out the effects.

Everything here is quick: what may be slow - the disk, the controller, the actuator's work - is handed over and answered
later. One step that fails is logged and left behind; FAILURES_MAX in a row are an impossible state and end the process.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from homeostat.subject import SubjectKind
from homeostat.wire.v1 import actuation_pb2, link_pb2
from homeostat_agent.config import AgentConfig
from homeostat_agent.decider import effect_log, reporting
from homeostat_agent.decider.actuator_talk import ActuatorTalk
from homeostat_agent.decider.effects import Effects, RequestProposal, SendReceipt, StartHealing
from homeostat_agent.decider.health import Hindrance
from homeostat_agent.decider.inbox import ActuatorGone, Denied, Granted, Inbox, Item, NewPolicy, NotStored, Stop, Stored
from homeostat_agent.decider.keeping import Keeping
from homeostat_agent.decider.pipeline import Pipeline
from homeostat_agent.decider.reporting import Known
from homeostat_agent.decider.selfcare import TooLarge
from homeostat_agent.decider.sensing.port import Host, Reading, ServiceStatus
from homeostat_agent.decider.watching.events import ProcessExited, WatchEvent, WatchInterrupted, WatchResumed
from homeostat_agent.decider.watching.exits import ExitWatcher, MainProcess

FAILURES_MAX = 10
log = logging.getLogger(__name__)


class Impossible(Exception):  # noqa: N818  # a state, not an error that anyone could answer
    """The decider cannot go on; its service manager starts it anew."""


class Controller(Protocol):
    """The controller as far as the loop speaks to it; none of this ever waits."""

    @property
    def connected(self) -> bool:
        """Whether there is a session."""

    def publish_state(self, state: link_pb2.EndpointState) -> None:
        """Tell how the endpoint is."""

    def send_receipt(self, receipt: link_pb2.Receipt) -> None:
        """Tell what became of a grant or a denial."""

    def outbox_changed(self) -> None:
        """Say that the spool has something new."""


class Upkeep(Protocol):
    """What is done beside deciding, after each sample."""

    def slower(self) -> int:
        """By how much the sample period is stretched."""

    def after_sample(self, reading: Reading, now: datetime) -> Effects:
        """Do what is due."""

    def saw(self, event: WatchEvent, now: datetime) -> Effects:
        """Take an event that is not about a subject."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What the loop works with. `now` is aware and in the endpoint's zone, `elapsed` seconds that only go forward."""

    config: AgentConfig
    host: Host
    pipeline: Pipeline
    inbox: Inbox
    keeping: Keeping
    talk: ActuatorTalk
    exits: ExitWatcher
    controller: Controller
    known: Known
    now: Callable[[], datetime]
    elapsed: Callable[[], float]


class Loop:
    """Runs until it is told to stop."""

    def __init__(self, parts: Parts, upkeep: Upkeep) -> None:
        self._parts = parts
        self._upkeep = upkeep
        self._failures = 0

    def run(self) -> None:
        """Sample and take items until Stop comes. Raises Impossible and TooLarge."""
        due = self._parts.elapsed()
        while True:
            left_s = due - self._parts.elapsed()
            item = self._parts.inbox.take(left_s) if left_s > 0 else None
            if isinstance(item, Stop):
                return
            if item is not None:
                self.take(item)
            now = self._parts.elapsed()
            if now >= due:
                self.sample()
                period_s = self._parts.config.agent.sample_period_s * self._upkeep.slower()
                due = max(due + period_s, now)

    def sample(self) -> None:
        """Take one reading and everything that follows from it."""
        self._fenced("sample", self._sample)

    def take(self, item: Item) -> None:
        """Take one item from the inbox and everything that follows from it."""
        self._fenced(type(item).__name__, lambda: self._take(item))

    def _sample(self) -> Effects:
        parts = self._parts
        reading = parts.host.read()
        parts.known.take(reading)
        parts.exits.watch(
            {one.name: MainProcess(one.pid, one.started) for one in reading.services if one.pid and _runs(one.status)}
        )
        now = parts.now()
        self._perform(parts.pipeline.tick(reading, now))
        parts.keeping.retry()
        self._perform(self._room_again(now))
        self._perform(self._upkeep.after_sample(reading, now))
        self._publish(now)
        return ()

    def _take(self, item: Item) -> Effects:
        now = self._parts.now()
        match item:
            case ProcessExited():
                return self._exited(item, now)
            case actuation_pb2.ActuatorMessage():
                return self._heard(item, now)
            case Stored() | NotStored():
                return self._kept(item, now)
            case ActuatorGone() | NewPolicy() | Granted() | Denied() | Stop():
                return self._told(item, now)
            case _:
                return self._watched(item, now)

    def _exited(self, event: ProcessExited, now: datetime) -> Effects:
        """Look first: who restarted a service by hand has left nothing to repair."""
        reading = self._parts.host.service(event.service)
        if reading.status in (ServiceStatus.DOWN, ServiceStatus.FAILED):
            return self._parts.pipeline.happened(event, now)
        self._watch_again(event.service)
        return ()

    def _heard(self, message: actuation_pb2.ActuatorMessage, now: datetime) -> Effects:
        effects = self._parts.talk.heard(message, now)
        if message.HasField("outcome") and message.outcome.subject.kind == SubjectKind.SERVICE:
            # Before the effects: its next end should be known at once, and no sample is due for seconds.
            self._watch_again(message.outcome.subject.name)
        return effects

    def _told(self, item: ActuatorGone | NewPolicy | Granted | Denied | Stop, now: datetime) -> Effects:
        match item:
            case ActuatorGone(reason):
                return self._parts.talk.gone(reason, now)
            case NewPolicy(policy, signed):
                self._parts.talk.use_policy(signed)
                return self._parts.pipeline.use_policy(policy, now)
            case Granted(grant, signed):
                return self._parts.pipeline.granted(grant, signed, now)
            case Denied(pack_id, by, reason):
                return self._parts.pipeline.denied(pack_id, by, reason)
            case Stop():
                return ()

    def _kept(self, item: Stored | NotStored, now: datetime) -> Effects:
        keeping, pipeline, known = self._parts.keeping, self._parts.pipeline, self._parts.known
        if isinstance(item, NotStored):
            keeping.failed(item.number)
            return pipeline.hinder(Hindrance.STORE, f"Records cannot be kept: {item.reason}.", now)
        keeping.done(item.number)
        known.spool = item.spool
        known.records_lost += item.lost
        self._parts.controller.outbox_changed()
        for confirm in item.confirm:
            self._parts.talk.say(confirm)
        if item.spool.full or item.lost:
            sentence = f"The outbox is full: {item.spool.records} records wait for the controller."
            return pipeline.hinder(Hindrance.STORE, sentence, now)
        return self._room_again(now)

    def _room_again(self, now: datetime) -> Effects:
        """Act again once there is room for what follows from it."""
        pipeline, spool = self._parts.pipeline, self._parts.known.spool
        if Hindrance.STORE not in pipeline.hindrances or self._parts.keeping.waiting or spool is None or spool.full:
            return ()
        return pipeline.able_again(Hindrance.STORE, now)

    def _watched(self, event: WatchEvent, now: datetime) -> Effects:
        match event:
            case WatchInterrupted(watcher, reason):
                log.warning("event=watch-interrupted watcher=%s reason=%r", watcher, reason)
            case WatchResumed(watcher):
                log.info("event=watch-resumed watcher=%s", watcher)
            case _:
                return (*self._parts.pipeline.happened(event, now), *self._upkeep.saw(event, now))
        return ()

    def _watch_again(self, service: str) -> None:
        try:
            reading = self._parts.host.service(service)
        except KeyError:
            return  # the actuator's configuration is newer than this decider's
        if reading.pid:
            self._parts.exits.also(service, MainProcess(reading.pid, reading.started))

    def _perform(self, effects: Effects) -> None:
        """Carry out one step's effects: hand the records over, then let the actuator know."""
        if not effects:
            return
        self._parts.keeping.keep(effects)
        for effect in effects:
            match effect:
                case StartHealing() | RequestProposal():
                    self._parts.talk.say(effect)
                case SendReceipt(pack_id, result, reason):
                    self._parts.controller.send_receipt(link_pb2.Receipt(id=pack_id, result=result, reason=reason))
                case _:
                    pass
        for effect in effects:
            effect_log.write(effect)
        self._publish(self._parts.now())

    def _publish(self, now: datetime) -> None:
        self._parts.controller.publish_state(reporting.endpoint_state(self._parts.pipeline, self._parts.known, now))

    def _fenced(self, what: str, step: Callable[[], Effects]) -> None:
        try:
            self._perform(step())
        except TooLarge:
            raise
        except Exception as error:
            log.exception("event=step-failed step=%s", what)
            self._failures += 1
            if self._failures >= FAILURES_MAX:
                raise Impossible(f"{FAILURES_MAX} steps failed in a row, the last with {error!r}") from error
        else:
            self._failures = 0


def _runs(status: ServiceStatus) -> bool:
    return status is ServiceStatus.RUNNING
