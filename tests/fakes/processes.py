"""Real processes that misbehave on demand, always ended by their own numbers and bounded in time by themselves."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

# No process of a test outlives this, whatever happens to the test.
LIFE_S = 60
WAIT_S = 10.0

SLEEP = f"import time; time.sleep({LIFE_S})"
BURN = f"import time\nuntil = time.monotonic() + {LIFE_S}\nwhile time.monotonic() < until: pass"
EAT = (
    "import sys, time; held = bytearray(int(sys.argv[1])); held[::4096] = b'x' * len(held[::4096]); time.sleep({life})"
)


@contextmanager
def running(*argv: str, session: bool = True) -> "Iterator[subprocess.Popen[bytes]]":
    """Run a program in a session of its own; at the end its whole group is gone."""
    child = subprocess.Popen(argv, start_new_session=session, stdin=subprocess.DEVNULL)
    try:
        yield child
    finally:
        finish(child, group=session)


def python(code: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code, *arguments)


def sleeper() -> tuple[str, ...]:
    return ("/bin/sleep", str(LIFE_S))


def eater(size_bytes: int) -> tuple[str, ...]:
    return python(EAT.format(life=LIFE_S), str(size_bytes))


def finish(child: "subprocess.Popen[bytes]", *, group: bool = False) -> None:
    """Kill a child, with its group if it leads one, and take it away."""
    if child.poll() is None:
        if group:
            os.killpg(child.pid, signal.SIGKILL)
        child.kill()
    child.wait()


def pid_file(path: Path, pid: int) -> str:
    """Write a pid file as the actuator does."""
    started = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    path.write_text(f"{pid}\n{started}\n")
    return str(path)


def until(condition: Callable[[], bool], what: str, within_s: float = WAIT_S) -> None:
    """Look until the condition holds; fail with `what` when it does not in time."""
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within_s:g} s: {what}")
        time.sleep(0.01)
