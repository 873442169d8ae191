"""The decider as a process: builds each object once, and is the only code of it that reads the clock or draws lots.

It ends with 0 on SIGTERM, having kept what it knows; killed at any moment, the next start goes on from what is on disk.
"""

import gc
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from random import SystemRandom
from types import FrameType

from homeostat.features import FEATURE_SET_VERSION
from homeostat.policy import SEMANTICS_VERSION
from homeostat.wire.v1 import enrolment_pb2, link_pb2
from homeostat_agent import VERSION, metrics
from homeostat_agent import config as configuration
from homeostat_agent.config import AgentConfig
from homeostat_agent.decider import notify, reporting
from homeostat_agent.decider.actuator_link import ActuatorLink
from homeostat_agent.decider.actuator_talk import ActuatorTalk
from homeostat_agent.decider.health import Hindrance
from homeostat_agent.decider.inbox import ActuatorGone, Inbox, Stop
from homeostat_agent.decider.keeping import Keeping
from homeostat_agent.decider.link.downlink import stored_policy
from homeostat_agent.decider.link.identity import IdentityError, endpoint_labels, load_identity, trusted_keys_file
from homeostat_agent.decider.link.judgement import Judge
from homeostat_agent.decider.link.link import Link
from homeostat_agent.decider.link.pace import Pace, Surroundings
from homeostat_agent.decider.listener import Listener
from homeostat_agent.decider.loop import Impossible, Loop, Parts
from homeostat_agent.decider.pipeline import Endpoint, Pipeline
from homeostat_agent.decider.reporting import Known
from homeostat_agent.decider.restoring import restore
from homeostat_agent.decider.scorer_loading import ScorerLoading
from homeostat_agent.decider.selfcare import TooLarge
from homeostat_agent.decider.sensing.port import Host
from homeostat_agent.decider.store.database import StoreError
from homeostat_agent.decider.store.recorder import Recorder
from homeostat_agent.decider.upkeep import Upkeep
from homeostat_agent.decider.watching.events import FileRole
from homeostat_agent.decider.watching.exits import ExitWatcher
from homeostat_agent.decider.watching.files import FileWatcher, FolderWatch, declared

ID_BYTES = 8
LOCK = "decider.lock"
STORE_S_MAX = 60.0
log = logging.getLogger(__name__)


class StartError(Exception):
    """The decider cannot run here; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class _Ground:
    """What everything else stands on."""

    config: AgentConfig
    config_path: Path
    host: Host
    recorder: Recorder
    inbox: Inbox


def run(config_path: Path) -> int:
    """Run the decider until it is told to end; return its exit code.

    Raises ConfigError and StartError, each with a message for a person.
    """
    config = configuration.load(config_path)
    with ExitStack() as held:
        ground = _lay_ground(config, config_path.absolute(), held)
        loop = _build(ground, held)
        _take_signals(ground.inbox)
        notify.notify(notify.READY)
        log.info("event=started version=%s data_dir=%s", VERSION, config.agent.data_dir)
        try:
            loop.run()
        except (Impossible, TooLarge) as error:
            log.critical("event=given-up reason=%r", str(error))
            return 1
        finally:
            notify.notify(notify.STOPPING)
    log.info("event=stopped")
    return 0


def host(config: AgentConfig, now: Callable[[], datetime]) -> Host:
    """Return the machine under care."""
    if sys.platform == "win32":
        from homeostat_agent.decider.sensing.windows import WindowsHost  # noqa: PLC0415  # needs psutil and pywin32

        return WindowsHost(config, now)
    from homeostat_agent.decider.sensing.linux import LinuxHost  # noqa: PLC0415  # loaded only where it is used

    return LinuxHost(config, now)


def facts(found: Mapping[str, str]) -> enrolment_pb2.EndpointFacts:
    """Return what `Host.facts` found, as enrolment and hello carry it."""
    return reporting.endpoint_facts(found)


def _lay_ground(config: AgentConfig, config_path: Path, held: ExitStack) -> _Ground:
    _make_folder(Path(config.agent.data_dir), 0o700)
    _make_folder(Path(config.agent.run_dir), 0o750)
    _lock(Path(config.agent.data_dir, LOCK), held)
    recorder = Recorder(config.store, config.agent.spool_bytes_max, _now)
    try:
        recorder.start()
    except StoreError as error:
        raise StartError(f"{error}; is the disk full, or the folder another user's?") from error
    held.callback(recorder.stop)
    return _Ground(config, config_path, host(config, _now), recorder, Inbox())


def _build(ground: _Ground, held: ExitStack) -> Loop:
    """Make everything and start its threads, in the order in which each needs the one before."""
    config, inbox = ground.config, ground.inbox
    restored = ground.recorder.submit(lambda stores: restore(stores, _now())).result(STORE_S_MAX)
    pipeline = Pipeline(config, _whoami(config), _new_id, restored)
    pipeline.hindrances[Hindrance.ACTUATOR] = "The actuator is not connected yet."
    pipeline.hindrances[Hindrance.POLICY] = "No policy was accepted yet."
    actuator = ActuatorLink(config, ground.config_path, inbox.tell, lambda reason: inbox.tell(ActuatorGone(reason)))
    exits = ExitWatcher(inbox, _now)
    link = _link(ground, pipeline)
    known = Known()
    keeping = Keeping(ground.recorder, inbox.tell_now)
    talk = ActuatorTalk(pipeline, actuator)
    parts = Parts(config, ground.host, pipeline, inbox, keeping, talk, exits, link, known, _now, time.monotonic)
    upkeep = Upkeep(parts, ground.recorder, actuator, ScorerLoading(config), partial(_whoami, config))
    # The policy first: whatever looks at the open incidents must not do so without one.
    _take_stored_policy(ground, parts)
    keeping.keep(upkeep.use_model(_now()))
    actuator.start()
    held.callback(actuator.stop)
    exits.start()
    held.callback(exits.stop)
    _start_watchers(ground, held)
    link.start()
    held.callback(link.stop)
    if config.agent.metrics_listen:
        held.callback(_serve_metrics(config, pipeline, known, link))
    held.callback(upkeep.close)
    gc.collect()
    gc.freeze()  # what is there now stays; it need not be looked through again
    return Loop(parts, upkeep)


def _take_stored_policy(ground: _Ground, parts: Parts) -> None:
    """Go on under the last accepted policy, verified anew."""
    try:
        keys = trusted_keys_file(ground.config).read_bytes()
    except OSError:
        return  # not enrolled: there is nobody to take a policy from
    judge = Judge(keys, parts.pipeline.endpoint.labels, VERSION)
    try:
        stored = stored_policy(ground.recorder, judge, _now())
    except StoreError as error:
        log.warning("event=policy-unreadable reason=%r", str(error))
        return
    if stored is not None:
        policy, signed = stored
        parts.talk.use_policy(signed.SerializeToString())
        parts.keeping.keep(parts.pipeline.use_policy(policy, _now()))


def _link(ground: _Ground, pipeline: Pipeline) -> Link:
    endpoint_facts = facts(dict(ground.host.facts()))
    boot_id = _new_id()

    def hello() -> link_pb2.Hello:
        return link_pb2.Hello(
            agent_version=VERSION,
            semantics=SEMANTICS_VERSION,
            feature_set=FEATURE_SET_VERSION,
            model=pipeline.scorer.model if pipeline.scorer else "",
            facts=endpoint_facts,
            boot_id=boot_id,
        )

    surroundings = Surroundings(_now, SystemRandom(), Pace(first_try_s_max=ground.config.controller.first_try_s_max))
    return Link(ground.config, ground.recorder, Listener(ground.inbox), hello, surroundings)


def _start_watchers(ground: _Ground, held: ExitStack) -> None:
    folders = [FolderWatch(FileRole.MODEL, ground.config.agent.model_dir)]
    files = FileWatcher(declared(ground.config, ground.config_path), folders, ground.inbox, _now)
    files.start()
    held.callback(files.stop)
    if sys.platform == "linux" and any(one.unit for one in ground.config.service):
        from homeostat_agent.decider.watching.units import UnitWatcher  # noqa: PLC0415  # jeepney costs 3 MB

        units = UnitWatcher(ground.config.service, ground.inbox, _now)
        units.start()
        held.callback(units.stop)


def _serve_metrics(config: AgentConfig, pipeline: Pipeline, known: Known, link: Link) -> Callable[[], None]:
    try:
        return metrics.serve(
            config.agent.metrics_listen, lambda: reporting.snapshot(pipeline, known, connected=link.connected)
        )
    except metrics.MetricsError as error:
        raise StartError(str(error)) from error


def _whoami(config: AgentConfig) -> Endpoint:
    try:
        identity = load_identity(config)
    except IdentityError as error:
        log.warning("event=identity-unusable reason=%r", str(error))
        identity = None
    name = identity.endpoint_id if identity else config.agent.name or socket.gethostname()
    return Endpoint(name, endpoint_labels(config, identity))


def _make_folder(folder: Path, mode: int) -> None:
    try:
        folder.mkdir(mode=mode, parents=True, exist_ok=True)
    except OSError as error:
        raise StartError(f"{folder}: cannot be made: {error.strerror}") from error


def _lock(path: Path, held: ExitStack) -> None:
    """Make sure that no other decider works on this store; the lock is gone with the process, however that ends."""
    if sys.platform == "win32":
        return  # the service control manager runs a service once
    import fcntl  # noqa: PLC0415  # there is none on Windows

    try:
        lock = os.open(path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        held.callback(os.close, lock)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise StartError(f"{path.parent}: another agent runs already") from None
    except OSError as error:
        raise StartError(f"{path}: {error.strerror}") from error


def _take_signals(inbox: Inbox) -> None:
    def end(_number: int, _frame: FrameType | None) -> None:
        inbox.tell_now(Stop())

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)


def _now() -> datetime:
    """Return the time in the endpoint's own zone: quiet hours are local."""
    return datetime.now().astimezone()


def _new_id() -> str:
    return os.urandom(ID_BYTES).hex()
