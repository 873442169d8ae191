"""Running a file's declared check: an argv, a cleared environment, a bound on its time and on what it may say.

Invariant: only a check that ran to its end says anything about the file. One that could not be started or did not end
in time is no answer.
"""

import os
import select
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import IO

CHECK_S_MAX = 10.0
SAID_BYTES_MAX = 4096
LINE_CHARACTERS_MAX = 300
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check said: valid or not, or None where it gave no answer; `said` is the first line of its output."""

    valid: bool | None
    said: str


def run_check(argv: tuple[str, ...], within_s: float = CHECK_S_MAX) -> Verdict:
    """Run a check in a session of its own and wait for it, at most `within_s` seconds."""
    deadline = time.monotonic() + within_s
    try:
        child = subprocess.Popen(
            argv,
            cwd=os.path.abspath(os.sep),  # noqa: PTH100  # the root of the drive, wherever this runs
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        return Verdict(None, f"{argv[0]} cannot be started: {error.strerror}")
    assert child.stdout is not None  # noqa: S101  # it was asked for as a pipe
    with child, child.stdout as output:
        said = _listen(output, deadline)
        try:
            code = child.wait(max(deadline - time.monotonic(), 0.0) if said is not None else 0.0)
        except subprocess.TimeoutExpired:
            _end(child)
            return Verdict(None, f"{argv[0]} did not end within {within_s:g} s")
    return Verdict(code == 0, _first_line(said or b"") or f"{argv[0]} ended with {code}")


def _listen(output: IO[bytes], deadline: float) -> bytes | None:
    """Return the beginning of what is said, or None if the output is still open at the deadline."""
    if not hasattr(select, "poll"):  # elsewhere a pipe cannot be waited for; the check's own time bounds it
        return output.read(SAID_BYTES_MAX)
    poller = select.poll()
    poller.register(output, select.POLLIN)
    kept = b""
    while (left := deadline - time.monotonic()) > 0 and poller.poll(left * 1000):
        part = os.read(output.fileno(), SAID_BYTES_MAX)
        if not part:
            return kept
        kept = (kept + part)[:SAID_BYTES_MAX]
    return None


def _end(child: "subprocess.Popen[bytes]") -> None:
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)  # not waited for yet, so the number is still its own
    child.kill()


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "SYSTEMROOT") if name in os.environ}
    return {"PATH": _PATH, **kept}


def _first_line(said: bytes) -> str:
    lines = said.decode("utf-8", "replace").strip().splitlines()
    line = lines[0] if lines else ""
    return "".join(one if one.isprintable() else "?" for one in line)[:LINE_CHARACTERS_MAX]
