"""Processes the demo started, remembered by pid and start time so that only they are ever ended."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

# Time to end after SIGTERM before SIGKILL.
GRACE_S = 10.0


@dataclass(frozen=True, slots=True)
class Started:
    """One process: `ticks` is its start time in clock ticks since boot."""

    pid: int
    ticks: int


def start(argv: Sequence[str], log: Path, environment: dict[str, str] | None = None) -> Started:
    """Start a program in a session of its own, with its output in `log`."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, **(environment or {})},
        )
    # The demo command ends long before its processes do; nobody is left to wait for them.
    process.returncode = 0
    return Started(process.pid, ticks_of(process.pid) or 0)


def ticks_of(pid: int) -> int | None:
    """Return when the process started, or None when there is none (or only a zombie)."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    after_name = text.rpartition(")")[2].split()
    return None if after_name[0] in "ZX" else int(after_name[19])


def is_alive(process: Started) -> bool:
    """Say whether that very process still runs."""
    return ticks_of(process.pid) == process.ticks


def end(processes: Sequence[Started]) -> None:
    """End them all: SIGTERM, then SIGKILL after GRACE_S; a stopped one is woken so that it can end."""
    for process in processes:
        _signal(process, signal.SIGTERM)
        _signal(process, signal.SIGCONT)
    deadline = time.monotonic() + GRACE_S
    while time.monotonic() < deadline and any(map(is_alive, processes)):
        _reap()
        time.sleep(0.05)
    for process in processes:
        _signal(process, signal.SIGKILL)


def remember(file: Path, named: dict[str, Started]) -> None:
    """Write what was started, whole or not at all."""
    text = json.dumps({name: [one.pid, one.ticks] for name, one in named.items()}, indent=1)
    scratch = file.with_suffix(".new")
    scratch.write_text(text, encoding="utf-8")
    scratch.replace(file)


def remembered(file: Path) -> dict[str, Started]:
    """Return what was started, by name; nothing when there is no such file."""
    try:
        return {name: Started(*one) for name, one in json.loads(file.read_text(encoding="utf-8")).items()}
    except FileNotFoundError:
        return {}


def naming(text: str) -> list[Started]:
    """Return the processes, other than this one, that have `text` in one of their arguments."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            argv = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        ticks = ticks_of(int(entry.name))
        if text.encode() in argv and ticks is not None:
            found.append(Started(int(entry.name), ticks))
    return found


def read_pid_file(file: Path) -> Started | None:
    """Return the process a service's pid file names, if it runs."""
    try:
        pid = int(file.read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return None
    ticks = ticks_of(pid)
    return None if ticks is None else Started(pid, ticks)


def _signal(process: Started, number: signal.Signals) -> None:
    if is_alive(process):
        try:
            os.kill(process.pid, number)
        except ProcessLookupError:
            return


def _reap() -> None:
    """Take away our own ended children, which would otherwise still look alive to others."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return
