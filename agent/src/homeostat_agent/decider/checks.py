"""Direct evidence: from one reading and what the watchers told to signals. No model, no clock, no I/O.

Invariant: the same state, reading, events, configuration and policy give the same signals. What is unknown gives none.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from homeostat.evidence import Signal, SignalKind
from homeostat.policy import Policy
from homeostat.subject import ENDPOINT, Subject, SubjectKind
from homeostat_agent.config import AgentConfig, Service
from homeostat_agent.decider.memory_trend import HORIZON_S, MemoryTrack
from homeostat_agent.decider.sensing.port import ProcessReading, Reading, ServiceReading, ServiceStatus
from homeostat_agent.decider.watching.events import (
    FileChange,
    FileChanged,
    FileRole,
    ProcessExited,
    UnitChanged,
    WatchEvent,
)

MIB = 1 << 20

Process = tuple[int, int]

# Shares of the endpoint that have a limit: signal, metric, the limit's name in the policy, and the words for it.
_SHARES = (
    (
        SignalKind.DISK_OVER_LIMIT,
        "disk.used.max",
        "disk_used_percent",
        "The file system at {disk} is {value:.1f} % full",
    ),
    (
        SignalKind.INODES_OVER_LIMIT,
        "disk.inodes.max",
        "inodes_used_percent",
        "Of the inodes of the file system at {inodes} {value:.1f} % are used",
    ),
    (
        SignalKind.DESCRIPTORS_OVER_LIMIT,
        "descriptors.used",
        "descriptors_used_percent",
        "Of the system's file descriptors {value:.1f} % are used",
    ),
    (
        SignalKind.MEMORY_PRESSURE,
        "psi.memory.full",
        "memory_pressure_percent",
        "All work waited for memory {value:.1f} % of the time",
    ),
)


@dataclass(frozen=True, slots=True)
class Findings:
    """What is carried from one sample to the next.

    `files` holds what is wrong with watched files until it is right again, `memory` each service's recent memory,
    `busy` the processes of each program that were above the limit in the last sample.
    """

    files: Mapping[str, tuple[FileChange, str]] = field(default_factory=dict)
    memory: Mapping[str, MemoryTrack] = field(default_factory=dict)
    busy: Mapping[str, frozenset[Process]] = field(default_factory=dict)


def update(
    state: Findings, reading: Reading, events: Iterable[WatchEvent], config: AgentConfig, policy: Policy
) -> tuple[Findings, tuple[Signal, ...]]:
    """Take in one reading and the events since the last one; return the next state and all signals of this moment."""
    at = reading.sample.at
    declared = {one.name: one for one in config.service}
    services = [(one, declared.get(one.name, Service(one.name))) for one in reading.services]
    file_events = [one for one in events if isinstance(one, FileChanged) and one.role is FileRole.WATCHED]
    files = _files_after(state.files, file_events)
    memory = _memory_after(state.memory, reading)
    busy = _busy(reading.processes, policy)
    signals = [
        *_endpoint(reading, policy),
        *(signal for one, service in services for signal in _service(one, service, at)),
        *(signal for one, service in services for signal in _memory(one, service, memory, reading, policy)),
        *_runaways(reading.processes, state.busy, busy, at, policy),
        *_folders(reading, policy),
        *_files(files, at),
        *(signal for one in file_events if one.change is FileChange.CHANGED for signal in of_event(one)),
    ]
    return Findings(files, memory, busy), tuple(signals)


def of_event(event: WatchEvent) -> tuple[Signal, ...]:
    """Return what one event is evidence of, the moment it is told; most events are evidence of nothing."""
    match event:
        case ProcessExited(service, pid, at):
            detail = f"The main process {pid} of {service} has ended."
            return (_of(SignalKind.SERVICE_EXITED, SubjectKind.SERVICE, service, at, detail),)
        case UnitChanged(service, unit, "failed", sub, _, result, at):
            detail = f"{unit} has failed ({sub}); its last run ended with {result or 'no result'}."
            return (_of(SignalKind.SERVICE_FAILED, SubjectKind.SERVICE, service, at, detail),)
        case UnitChanged(service, unit, "inactive", sub, _, result, at):
            detail = f"{unit} is inactive ({sub}); its last run ended with {result or 'no result'}."
            return (_of(SignalKind.SERVICE_EXITED, SubjectKind.SERVICE, service, at, detail),)
        case FileChanged(FileRole.WATCHED):
            return _of_file(event)
        case _:
            return ()


def _of_file(event: FileChanged) -> tuple[Signal, ...]:
    found = {
        FileChange.CHANGED: (SignalKind.FILE_CHANGED, f"{event.path} has changed."),
        FileChange.MISSING: (SignalKind.FILE_MISSING, f"{event.path} is missing."),
        FileChange.INVALID: (SignalKind.FILE_INVALID, f"{event.path} is not valid: {event.detail}"),
    }.get(event.change)
    return (_of(found[0], SubjectKind.FILE, event.name, event.at, found[1]),) if found else ()


def _endpoint(reading: Reading, policy: Policy) -> Iterator[Signal]:
    at = reading.sample.at
    for kind, metric, threshold, words in _SHARES:
        value, limit = reading.sample.values.get(metric), policy.threshold(threshold)
        if value is not None and value >= limit:
            said = words.format(disk=reading.disk_fullest or "?", inodes=reading.inodes_fullest or "?", value=value)
            yield Signal(kind, ENDPOINT, at, value, limit, "percent", f"{said}; the limit is {limit:g} %.")
    step, most = reading.sample.values.get("clock.step", 0.0), policy.threshold("clock_step_seconds")
    if abs(step) >= most:
        way = "forward" if step > 0 else "back"
        detail = f"The clock was set {way} by {abs(step):.1f} s; steps below {most:g} s are usual."
        yield Signal(SignalKind.CLOCK_STEPPED, ENDPOINT, at, step, most, "seconds", detail)


def _service(reading: ServiceReading, service: Service, at: datetime) -> Iterator[Signal]:
    name, pid = reading.name, reading.pid
    match reading.status:
        case ServiceStatus.DOWN:
            yield _of(SignalKind.SERVICE_EXITED, SubjectKind.SERVICE, name, at, f"{name} does not run.")
        case ServiceStatus.FAILED:
            yield _of(SignalKind.SERVICE_FAILED, SubjectKind.SERVICE, name, at, f"{service.unit or name} has failed.")
        case ServiceStatus.RUNNING | ServiceStatus.UNKNOWN:
            pass
    if reading.stopped:
        detail = f"The main process {pid} of {name} is stopped by a signal: it does nothing."
        yield _of(SignalKind.NO_PROGRESS, SubjectKind.SERVICE, name, at, detail)
    if reading.answers is False:
        where = service.probe.http or service.probe.tcp
        detail = f"{name} failed its probe of {where} {reading.answer_age_s:.1f} s ago: {reading.answer_detail}."
        yield _of(SignalKind.PROBE_FAILED, SubjectKind.SERVICE, name, at, detail)


def _memory(
    one: ServiceReading, service: Service, tracks: Mapping[str, MemoryTrack], reading: Reading, policy: Policy
) -> Iterator[Signal]:
    if one.status is not ServiceStatus.RUNNING:
        return
    at, subject = reading.sample.at, Subject(SubjectKind.SERVICE, one.name)
    limit = service.memory_max_mib * MIB * policy.threshold("memory_limit_percent") / 100.0
    holds = f"{one.name} holds {one.memory_bytes / MIB:.1f} MiB of memory"
    if limit and one.memory_bytes >= limit:
        detail = f"{holds}; its limit is {limit / MIB:.1f} MiB."
        yield Signal(SignalKind.MEMORY_OVER_LIMIT, subject, at, float(one.memory_bytes), limit, "bytes", detail)
    # Without a limit of its own, what the endpoint has left is the limit.
    ceiling = limit or one.memory_bytes + reading.sample.values.get("memory.available", 0.0)
    slope = tracks[one.name].growth(ceiling) if ceiling > one.memory_bytes else None
    if slope is not None:
        left_s = (ceiling - one.memory_bytes) / slope
        detail = (
            f"{holds} and grows by {slope * 60 / MIB:.1f} MiB a minute: "
            f"in {left_s / 60:.0f} min it reaches {ceiling / MIB:.1f} MiB."
        )
        least = (ceiling - one.memory_bytes) / HORIZON_S
        yield Signal(SignalKind.MEMORY_GROWING, subject, at, slope, least, "bytes per second", detail)


def _runaways(
    processes: Iterable[ProcessReading],
    before: Mapping[str, frozenset[Process]],
    now: Mapping[str, frozenset[Process]],
    at: datetime,
    policy: Policy,
) -> Iterator[Signal]:
    """Yield the processes above the limit.

    A program whose processes above the limit are all others than in the last sample does a lot of work, one process
    after the other; that is no runaway, and nothing is said in that sample.
    """
    limit = policy.threshold("cpu_runaway_percent")
    for one in processes:
        process, busy = (one.pid, one.started), before.get(one.program, frozenset())
        if process not in now.get(one.program, frozenset()) or (busy and process not in busy):
            continue
        percent = one.cpu_percent or 0.0
        detail = f"Process {one.pid} of {one.program} uses {percent:.0f} % of a cpu; the limit is {limit:g} %."
        subject = Subject(SubjectKind.PROCESS, one.program)
        yield Signal(SignalKind.CPU_RUNAWAY, subject, at, percent, limit, "percent of one cpu", detail)


def _folders(reading: Reading, policy: Policy) -> Iterator[Signal]:
    limit = policy.threshold("disk_used_percent")
    for one in reading.folders:
        if one.used_percent >= limit:
            detail = (
                f"Folder {one.name} is at {one.used_percent:.1f} % ({one.used_bytes / MIB:.1f} of "
                f"{one.limit_bytes / MIB:.1f} MiB); the limit is {limit:g} %."
            )
            subject = Subject(SubjectKind.FOLDER, one.name)
            yield Signal(
                SignalKind.DISK_OVER_LIMIT, subject, reading.sample.at, one.used_percent, limit, "percent", detail
            )


def _files(files: Mapping[str, tuple[FileChange, str]], at: datetime) -> Iterator[Signal]:
    for name, (change, detail) in sorted(files.items()):
        kind = SignalKind.FILE_MISSING if change is FileChange.MISSING else SignalKind.FILE_INVALID
        yield _of(kind, SubjectKind.FILE, name, at, detail)


def _files_after(
    files: Mapping[str, tuple[FileChange, str]], events: Iterable[FileChanged]
) -> Mapping[str, tuple[FileChange, str]]:
    after = dict(files)
    for event in events:
        match event.change:
            case FileChange.MISSING | FileChange.INVALID:
                after[event.name] = (event.change, of_event(event)[0].detail)
            case FileChange.BACK | FileChange.VALID:
                after.pop(event.name, None)
            case FileChange.CHANGED:
                pass
    return after


def _memory_after(tracks: Mapping[str, MemoryTrack], reading: Reading) -> Mapping[str, MemoryTrack]:
    at_s = reading.sample.at.timestamp()
    return {
        one.name: tracks.get(one.name, MemoryTrack()).add(one.pid, one.started, at_s, one.memory_bytes)
        for one in reading.services
        if one.status is ServiceStatus.RUNNING
    }


def _busy(processes: Iterable[ProcessReading], policy: Policy) -> Mapping[str, frozenset[Process]]:
    limit = policy.threshold("cpu_runaway_percent")
    found: dict[str, frozenset[Process]] = {}
    for one in processes:
        if one.cpu_percent is not None and one.cpu_percent >= limit:
            found[one.program] = found.get(one.program, frozenset()) | {(one.pid, one.started)}
    return found


def _of(kind: SignalKind, subject: SubjectKind, name: str, at: datetime, detail: str) -> Signal:
    return Signal(kind, Subject(subject, name), at, detail=detail)
