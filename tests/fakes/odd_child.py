"""A child of homeostat_agent.isolation that behaves as its argument says; run as a program by the tests."""

import os
import resource
import signal
import sys
import time

from homeostat_agent import isolation


def main(behaviour: str) -> int:
    answers = {
        "echo": lambda request: request,
        "refuse": refuse,
        "crash": crash,
        "memory": lambda _: bytes(isolation.ADDRESS_SPACE_BYTES_MAX),
        "limits": limits,
        "environment": lambda _: repr(sorted(os.environ)).encode(),
    }
    if behaviour in answers:
        return isolation.serve(answers[behaviour], 1 << 20)
    return without_manners(behaviour)


def without_manners(behaviour: str) -> int:
    if behaviour == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    elif behaviour == "deaf":
        sys.stdin.close()
    elif behaviour == "endless":
        while True:
            os.write(1, b"+" * 65536)
    elif behaviour == "hangs":
        time.sleep(600)
    elif behaviour == "hangs-after-closing":
        os.close(1)
        time.sleep(600)
    else:
        os.write(1, behaviour.encode())
    return 0


def refuse(_: bytes) -> bytes:
    raise isolation.Refusal("No. " + "x" * 1000)


def crash(_: bytes) -> bytes:
    raise ZeroDivisionError


def limits(_: bytes) -> bytes:
    found = [resource.getrlimit(one)[0] for one in (resource.RLIMIT_CPU, resource.RLIMIT_AS, resource.RLIMIT_CORE)]
    return repr(found).encode()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
