"""What is done beside deciding, after each sample: telemetry, the state for `status`, the agent's own limits.

None of it may disturb the deciding: what fails here is logged, and tried again when it is due again.
"""

import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from homeostat_agent import code_pages
from homeostat_agent import config as configuration
from homeostat_agent.decider import notify, reporting
from homeostat_agent.decider.actuator_link import ActuatorLink
from homeostat_agent.decider.effects import Effects, RecordNotice
from homeostat_agent.decider.health import Hindrance
from homeostat_agent.decider.link.identity import ENDPOINT, identity_folder
from homeostat_agent.decider.loop import Parts
from homeostat_agent.decider.pipeline import Endpoint
from homeostat_agent.decider.scorer_loading import ScorerLoading
from homeostat_agent.decider.selfcare import Meter, SelfCare
from homeostat_agent.decider.sensing.port import Reading
from homeostat_agent.decider.store.database import StoreError
from homeostat_agent.decider.store.recorder import Recorder, Stores
from homeostat_agent.decider.store.spool import SpoolState
from homeostat_agent.decider.store.state import ENDPOINT_STATE
from homeostat_agent.decider.watching.events import FileChanged, FileRole, WatchEvent

TELEMETRY_EVERY_S = 60.0
# `status` takes a state for that of a decider that has ended when it is older than two minutes.
STATE_EVERY_S = 30.0
SAVE_EVERY_S = 600.0
# When the start's code is done with: after the first samples, and once the link has been up for a while.
GIVE_BACK_AFTER_S = (5.0, 60.0)

log = logging.getLogger(__name__)


class Due:
    """Something that is done every so many seconds."""

    def __init__(self, every_s: float, elapsed: Callable[[], float]) -> None:
        self._every_s = every_s
        self._elapsed = elapsed
        self._next = elapsed()

    def is_due(self) -> bool:
        """Say whether it is time; if so, the next time is set."""
        now = self._elapsed()
        if now < self._next:
            return False
        self._next = now + self._every_s
        return True


class Upkeep:
    """The loop's Upkeep for a real agent. `whoami` reads this endpoint's identity."""

    def __init__(
        self,
        parts: Parts,
        recorder: Recorder,
        actuator: ActuatorLink,
        scorers: ScorerLoading,
        whoami: Callable[[], Endpoint],
    ) -> None:
        self._parts = parts
        self._recorder = recorder
        self._actuator = actuator
        self._scorers = scorers
        self._whoami = whoami
        self._care = SelfCare()
        self._meter = Meter(Path(parts.config.agent.data_dir), parts.elapsed)
        self._identity = identity_folder(parts.config) / ENDPOINT
        self._seen = _signature(self._identity)
        self._telemetry, self._state, self._save = (
            Due(every_s, parts.elapsed) for every_s in (TELEMETRY_EVERY_S, STATE_EVERY_S, SAVE_EVERY_S)
        )
        self._told: tuple[object, ...] = ()
        self._give_back = [parts.elapsed() + after_s for after_s in GIVE_BACK_AFTER_S]
        self._model_changed = False

    def slower(self) -> int:
        """By how much the sample period is stretched."""
        return self._care.slower

    def after_sample(self, reading: Reading, now: datetime) -> Effects:
        """Do what is due. Raises TooLarge."""
        notify.notify(notify.WATCHDOG)
        usage = self._meter.measure(self._actuator.peer_pid)
        self._parts.known.usage = usage
        self._parts.known.events_dropped = self._parts.inbox.dropped
        notices = tuple(RecordNotice(one.code, one.sentence, now) for one in self._care.judge(usage))
        self._look_for_identity()
        self._keep(reading, now)
        if self._save.is_due():
            self._save_scorer()
        self._give_code_back()
        effects = self._use_model(now) if self._model_changed else ()
        return (*notices, *effects)

    def saw(self, event: WatchEvent, now: datetime) -> Effects:
        """Take a change of the configuration file or of the model folder."""
        match event:
            case FileChanged(FileRole.MODEL):
                self._model_changed = True  # with the next sample, when all of its files are there
            case FileChanged(FileRole.CONFIG, _, path):
                return (RecordNotice("configuration-changed", _about_config(Path(path)), now),)
            case _:
                pass
        return ()

    def use_model(self, now: datetime) -> Effects:
        """Score by the newest usable model from now on; without one the agent only observes."""
        return self._use_model(now)

    def close(self) -> None:
        """Keep what was learnt, and give the scorer back."""
        self._save_scorer()
        if self._parts.pipeline.scorer is not None:
            self._parts.pipeline.scorer.close()

    def _use_model(self, now: datetime) -> Effects:
        self._model_changed = False
        pipeline, loaded = self._parts.pipeline, self._scorers.load()
        notices = tuple(RecordNotice(one.code, one.sentence, now) for one in loaded.notices)
        if loaded.scorer is None and pipeline.scorer is not None:
            return (*notices, RecordNotice("model-refused", f"The model before stays. {loaded.why_not}", now))
        if pipeline.scorer is not None:
            pipeline.scorer.close()
        pipeline.scorer = loaded.scorer
        if loaded.scorer is None:
            return (*notices, *pipeline.hinder(Hindrance.MODEL, loaded.why_not, now))
        log.info("event=model-used model=%s", loaded.scorer.model)
        return (*notices, *pipeline.able_again(Hindrance.MODEL, now))

    def _look_for_identity(self) -> None:
        signature = _signature(self._identity)
        if signature != self._seen:
            self._seen = signature
            self._parts.pipeline.endpoint = self._whoami()
            log.info("event=identity endpoint=%s", self._parts.pipeline.endpoint.id)

    def _keep(self, reading: Reading, now: datetime) -> None:
        """Keep telemetry when it is due, and the state when it is due or has changed in more than numbers."""
        state = reporting.endpoint_state(self._parts.pipeline, self._parts.known, now)
        told = (state.health, state.detail, state.open_incidents, [(one.name, one.state) for one in state.services])
        telemetry = reporting.telemetry(reading) if self._telemetry.is_due() else b""
        if not self._state.is_due() and told == self._told and not telemetry:
            return
        self._told, body = told, state.SerializeToString()

        def work(stores: Stores) -> SpoolState:
            if telemetry:
                stores.spool.append_telemetry(telemetry)
            stores.state.set(ENDPOINT_STATE, body)
            return stores.spool.state()

        with suppress(StoreError):  # the next records say what is wrong with the store
            future = self._recorder.submit(work)
            future.add_done_callback(lambda done: self._know(done.result()) if done.exception() is None else None)

    def _know(self, spool: SpoolState) -> None:
        self._parts.known.spool = spool

    def _save_scorer(self) -> None:
        scorer = self._parts.pipeline.scorer
        try:
            if scorer is not None:
                scorer.save()
        except OSError as error:
            log.warning("event=usual-not-saved reason=%r", str(error))

    def _give_code_back(self) -> None:
        if self._give_back and self._parts.elapsed() >= self._give_back[0]:
            self._give_back.pop(0)
            code_pages.give_back()


def _signature(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino


def _about_config(path: Path) -> str:
    try:
        configuration.load(path)
    except configuration.ConfigError as error:
        return f"The changed configuration cannot be used; the one before stays: {error}"
    return "The configuration has changed; it is used from the next start on."
