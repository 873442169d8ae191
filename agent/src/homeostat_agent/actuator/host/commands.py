"""Run one declared configuration test: an argv, a cleared environment, a bound on its time and on what it may say."""

import os
import select
import signal
import subprocess
import time
from contextlib import suppress

from homeostat_agent.actuator.host.port import CheckResult

CHECK_S_MAX = 10.0
SAID_CHARACTERS_MAX = 300
_KEPT_BYTES_MAX = 4096
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def clean_environment(**extra: str) -> dict[str, str]:
    """Return the environment that started programs get: where programs lie, the language, and `extra`."""
    kept = {"PATH": os.environ.get("PATH", _PATH)}
    if "LANG" in os.environ:
        kept["LANG"] = os.environ["LANG"]
    return {**kept, **extra}


def run_check(argv: tuple[str, ...], working_dir: str, within_s: float = CHECK_S_MAX) -> CheckResult:
    """Run a test in a session of its own and wait for it; after `within_s` seconds it is ended and has failed."""
    try:
        child = subprocess.Popen(
            argv,
            cwd=working_dir or "/",
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        return CheckResult(passed=False, said=f"{argv[0]} cannot be started: {error.strerror}")
    deadline = time.monotonic() + within_s
    said, whole = _listen(child, deadline)
    if not whole or not _ended(child, deadline):
        _end(child)
        return CheckResult(passed=False, said=f"it did not end within {within_s:g} s")
    return CheckResult(child.returncode == 0, _first_line(said))


def _listen(child: "subprocess.Popen[bytes]", deadline: float) -> tuple[bytes, bool]:
    """Return the beginning of what the child says, and whether it closed its output in time."""
    assert child.stdout is not None  # noqa: S101  # it was asked for as a pipe
    kept = b""
    with child.stdout as output:
        poller = select.poll()
        poller.register(output, select.POLLIN)
        while (left := deadline - time.monotonic()) > 0:
            if not poller.poll(left * 1000):
                break
            part = os.read(output.fileno(), _KEPT_BYTES_MAX)
            if not part:
                return kept, True
            kept = (kept + part)[:_KEPT_BYTES_MAX]
    return kept, False


def _ended(child: "subprocess.Popen[bytes]", deadline: float) -> bool:
    try:
        child.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return False
    return True


def _end(child: "subprocess.Popen[bytes]") -> None:
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)  # not yet waited for, so the number is still its own
    child.wait()


def _first_line(said: bytes) -> str:
    lines = said.decode(errors="replace").strip().splitlines()
    line = lines[0] if lines else ""
    return "".join(one if one.isprintable() else "?" for one in line)[:SAID_CHARACTERS_MAX]
