"""Work done in a short-lived child process, so that its libraries and its mistakes stay out of the resident ones.

The parent sends one request on standard input and takes one bounded answer from standard output. Whatever else
happens - a crash, a time-out, too much output, an answer that is none - is a ChildError, never a success.
"""

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO

ANSWER_BYTES_MAX = 1 << 20
REASON_CHARACTERS_MAX = 500
CPU_S_MAX = 5
ADDRESS_SPACE_BYTES_MAX = 512 << 20
_DONE = b"+"
_REFUSED = b"-"


class ChildError(Exception):
    """The child gave no answer; the message says why."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the child returned: the bytes asked for, or a reason in a sentence and nothing else."""

    body: bytes = b""
    refusal: str = ""


class Refusal(Exception):  # noqa: N818  # an expected answer of the child, not an error of its own
    """Raised inside a child to answer with a reason instead of bytes."""


def ask(module: str, arguments: tuple[str, ...], request: bytes, timeout_s: float) -> Answer:
    """Run `python -I -m module arguments` with `request` on its standard input and return what it answered.

    Arguments are seen by every user of the endpoint: they carry no secret. The environment is empty. Blocks up to
    `timeout_s` seconds, then ends the child. Raises ChildError when there is no well-formed answer.
    """
    return ask_program([sys.executable, "-I", "-m", module, *arguments], request, timeout_s)


def ask_program(argv: list[str], request: bytes, timeout_s: float) -> Answer:
    """Do the same with any program that answers as `serve` does."""
    name = argv[3] if argv[2:3] == ["-m"] else argv[0]
    try:
        child = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(),
            cwd=os.path.abspath(os.sep),  # noqa: PTH100  # pathlib is not needed here otherwise
        )
    except OSError as error:
        raise ChildError(f"{name} cannot be started: {error.strerror}") from error
    expired = threading.Event()
    timer = threading.Timer(timeout_s, _end, (child, expired))
    timer.daemon = True
    timer.start()
    try:
        output, code = _exchange(child, request)
    finally:
        timer.cancel()
    if expired.is_set():
        raise ChildError(f"{name} did not answer within {timeout_s:g} s")
    return _parse(name, output, code)


def serve(answer: Callable[[bytes], bytes], request_bytes_max: int) -> int:
    """Be the child: limit this process, read one request, print one answer. Returns the exit code.

    `answer` returns the bytes to send, or raises Refusal with the reason.
    """
    limit_this_process()
    request = sys.stdin.buffer.read(request_bytes_max + 1)
    if len(request) > request_bytes_max:
        return 2
    try:
        output = _DONE + answer(request)
    except Refusal as refusal:
        output = _REFUSED + str(refusal)[:REASON_CHARACTERS_MAX].encode()
    sys.stdout.buffer.write(output)
    sys.stdout.buffer.flush()
    return 0


def limit_this_process() -> None:
    """Bound this process's CPU time and memory, and leave no core dump. Where the system has no limits: nothing."""
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415  # there is none on Windows

    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S_MAX, CPU_S_MAX))
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE_BYTES_MAX, ADDRESS_SPACE_BYTES_MAX))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _environment() -> dict[str, str]:
    # Windows cannot load its own libraries without this one.
    return {name: os.environ[name] for name in ("SYSTEMROOT",) if name in os.environ}


def _end(child: "subprocess.Popen[bytes]", expired: threading.Event) -> None:
    expired.set()
    child.kill()


def _exchange(child: "subprocess.Popen[bytes]", request: bytes) -> tuple[bytes, int]:
    # The child reads all before it writes, so writing all and then reading cannot lock up; the timer ends both.
    assert child.stdin is not None  # noqa: S101  # both were asked for as pipes
    assert child.stdout is not None  # noqa: S101  # told to the type checker; Popen was given a pipe
    try:
        _write(child.stdin, request)
        return child.stdout.read(ANSWER_BYTES_MAX + 2), _reap(child)
    finally:
        child.stdout.close()


def _reap(child: "subprocess.Popen[bytes]") -> int:
    # One that still writes after the bound is ended; one that has closed its output is given its time.
    assert child.stdout is not None  # noqa: S101  # told to the type checker; Popen was given a pipe
    if child.stdout.read(1):
        child.kill()
    return child.wait()


def _write(pipe: IO[bytes], request: bytes) -> None:
    try:
        with pipe:
            pipe.write(request)
    except BrokenPipeError:
        pass  # the child ended first; its exit code and output say the rest


def _parse(name: str, output: bytes, code: int) -> Answer:
    if code != 0:
        raise ChildError(f"{name} ended with {code}")
    if len(output) > ANSWER_BYTES_MAX + 1:
        raise ChildError(f"{name} answered more than {ANSWER_BYTES_MAX} bytes")
    if output[:1] == _DONE:
        return Answer(body=output[1:])
    if output[:1] == _REFUSED:
        reason = output[1:].decode(errors="replace")[:REASON_CHARACTERS_MAX]
        if reason and reason.isprintable():
            return Answer(refusal=reason)
    raise ChildError(f"{name} gave an answer that is none")
