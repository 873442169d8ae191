#!/usr/bin/env python3
"""The controller is stopped for the time of N incidents and started again: each outcome must arrive once, in order."""

import argparse
import hashlib
import json
import random
import sqlite3
import time
from pathlib import Path

from _stage import stage, until
from kill_to_healthy import healed, one_kill, outcomes

from homeostat.wire.v1 import link_pb2


def events(folder: Path) -> list[tuple[int, bytes, bytes]]:
    """Return the controller's stored events of its one endpoint: sequence, body, hash."""
    database = sqlite3.connect(f"file:{folder}/controller.db?mode=ro", uri=True)
    try:
        return database.execute("select sequence, body, hash from event_log order by sequence").fetchall()
    finally:
        database.close()


def chain_is_whole(rows: list[tuple[int, bytes, bytes]]) -> bool:
    previous = bytes(32)
    for number, (sequence, body, stored) in enumerate(rows, start=1):
        previous = hashlib.sha256(previous + sequence.to_bytes(8, "big") + body).digest()
        if sequence != number or previous != stored:
            return False
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--incidents", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    random_ = random.Random(given.seed)
    with stage() as (controller, _api, (endpoint,)):
        controller.stop()
        for _ in range(given.incidents):
            one_kill(endpoint, random_)
        local = [row["id"] for row in outcomes(endpoint)]
        began = time.monotonic()
        api = controller.start()
        until("every outcome at the controller", lambda: len(healed(api)) >= given.incidents, 360, 0.2)
        took = time.monotonic() - began
        rows = events(controller.folder)
        arrived = [event.outcome.incident_id for event in map(parsed, rows) if event.WhichOneof("event") == "outcome"]
        found = {
            "incidents": given.incidents,
            "healed_without_controller": len(local),
            "outcomes_arrived": len(arrived),
            "each_once": len(arrived) == len(set(arrived)),
            "in_order": arrived == local,
            "chain_intact": chain_is_whole(rows),
            "seconds_from_start_to_all": round(took, 1),
        }
        print(json.dumps(found))
        if not (found["each_once"] and found["in_order"] and found["chain_intact"] and len(arrived) == given.incidents):
            raise SystemExit(1)


def parsed(row: tuple[int, bytes, bytes]) -> link_pb2.Event:
    return link_pb2.Event.FromString(row[1])


if __name__ == "__main__":
    main()
