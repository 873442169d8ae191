"""Appends numbered bodies to a store through a Recorder until it is killed; prints each number once it is on disk.

Run as a program by the crash test of the spool: `python spool_writer.py STORE FIRST`.
"""

import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from homeostat_agent.decider.store.recorder import Recorder, Stores


def main(path: str, first: str) -> None:
    recorder = Recorder(Path(path), 64 << 20, lambda: datetime.now(UTC))
    recorder.start()
    for n in range(int(first), int(first) + 100_000):
        # Two at a time, so that commits of several works are cut through as well.
        futures = [recorder.submit(partial(append, b"%d/%d" % (n, half))) for half in (0, 1)]
        for half, future in enumerate(futures):
            print(future.result(), n, half, flush=True)


def append(body: bytes, stores: Stores) -> int:
    return stores.spool.append(body)


if __name__ == "__main__":
    main(*sys.argv[1:])
