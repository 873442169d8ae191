"""A repair as a value, before it is an act.

Steps are typed and closed: what cannot be written here cannot be done to an endpoint. A plan rests on facts read the
moment it was made; their digest says later whether the endpoint has changed since.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StartService:
    """Start a declared service."""

    service: str


@dataclass(frozen=True, slots=True)
class StopService:
    """Stop a declared service."""

    service: str


@dataclass(frozen=True, slots=True)
class RestartService:
    """Restart a declared service."""

    service: str


@dataclass(frozen=True, slots=True)
class EndProcess:
    """End one process: terminate, and after `grace_s` seconds kill.

    `started` is its start time in clock ticks since boot, so that a reused pid is never hit.
    """

    pid: int
    started: int
    grace_s: float


@dataclass(frozen=True, slots=True)
class RemoveFile:
    """Take one file out of a declared folder, if it is still what was seen; `keep` moves it to the trash."""

    folder: str
    path: str
    size_bytes: int
    modified_ns: int
    keep: bool = True


@dataclass(frozen=True, slots=True)
class RestoreFile:
    """Bring one file back from the trash, unless its place has been taken."""

    folder: str
    path: str


Step = StartService | StopService | RestartService | EndProcess | RemoveFile | RestoreFile


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do, and how to undo it (`backward` empty: there is nothing to undo)."""

    forward: tuple[Step, ...]
    backward: tuple[Step, ...]
    state_digest: bytes
    expected_effect: str
    findings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """A pre-check's no, as a sentence."""

    reason: str
