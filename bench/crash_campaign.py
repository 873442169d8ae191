#!/usr/bin/env python3
"""`kill -9` of the decider or the actuator at random moments of healing runs.

After every kill the program is started again (the actuator by the decider, the decider by this script, as its service
manager would) and the run must be found and settled: healed, or ended and the incident taken up again. At the end the
journal, the service's own log of its starts and the controller's rows are held against each other.
"""

import argparse
import contextlib
import json
import os
import random
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from _stage import Endpoint, stage, until
from outage import chain_is_whole, events, parsed

from homeostat_controller.client.client import Client
from homeostat_controller.demo import processes
from homeostat_controller.demo.processes import Started


def campaign(endpoint: Endpoint, kills: int, random_: random.Random, say: Callable[[str], None]) -> Counter[str]:
    """Kill the service, then one of ours a moment later; wait until all is settled; repeat."""
    counted: Counter[str] = Counter()
    for number in range(kills):
        service = until("the service", endpoint.service)
        actuator = until("the actuator", endpoint.actuator)
        assert endpoint.process is not None
        os.kill(service.pid, signal.SIGKILL)
        # A whole run takes about 15 ms here; the rest of the range hits the moments after it.
        time.sleep(random_.uniform(0.0, 0.03))
        who = random_.choice(("decider", "actuator"))
        kill(endpoint.process if who == "decider" else actuator)
        counted[who] += 1
        if who == "decider":
            os.waitpid(endpoint.process.pid, 0)
            endpoint.start()
        until(f"the service after kill {number} of the {who} ({endpoint.folder})", lambda: settled(endpoint), 120, 0.02)
        if number % 20 == 19:
            say(f"{number + 1} kills")
    return counted


def kill(process: Started) -> None:
    """Kill a process of ours; one that has just ended by itself is as dead."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGKILL)


def settled(endpoint: Endpoint) -> bool:
    """The service runs, in one process, and no run is open."""
    service = endpoint.service()
    return service is not None and processes.is_alive(service) and not unfinished(endpoint)


def journal(endpoint: Endpoint) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{endpoint.folder}/actuator/journal.db?mode=ro", uri=True)


def unfinished(endpoint: Endpoint) -> list[str]:
    database = journal(endpoint)
    try:
        return [row[0] for row in database.execute("select id from run where ending is null")]
    finally:
        database.close()


def audit(endpoint: Endpoint, controller_folder: Path, api: Client) -> dict[str, object]:
    """Hold what happened against what was written down."""
    database = journal(endpoint)
    endings = Counter(row[0] for row in database.execute("select ending from run"))
    ended = {row[0] for row in database.execute("select id from run where ending is not null")}
    begun = database.execute("select count(*) from step where direction = 'forward'").fetchone()[0]
    repeated = database.execute(
        "select count(*) from (select run_id, number from step where direction = 'forward' "
        "group by run_id, number having count(*) > 1)"
    ).fetchone()[0]
    database.close()
    starts = len((endpoint.folder / "svc" / "svc.log").read_text().split()) - 1  # the first was the bench's own

    def arrived() -> list[str]:
        rows = map(parsed, events(controller_folder))
        return [event.outcome.run_id for event in rows if event.WhichOneof("event") == "outcome"]

    until("every outcome at the controller", lambda: set(arrived()) >= ended, 120, 0.5)
    outcomes = arrived()
    return {
        "endings": dict(endings),
        "runs": len(ended),
        "unfinished": len(unfinished(endpoint)),
        "forward_steps_begun": begun,
        "steps_begun_twice": repeated,
        "service_starts": starts,
        "starts_beyond_the_steps": max(0, starts - begun),
        "outcomes_arrived": len(outcomes),
        "outcomes_twice": len(outcomes) - len(set(outcomes)),
        "outcomes_lost": len(ended - set(outcomes)),
        "chain_intact": chain_is_whole(events(controller_folder)),
        "incidents": len(api.items("/incidents", 0)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with stage() as (controller, api, (endpoint,)):
        counted = campaign(endpoint, given.kills, random.Random(given.seed), lambda text: print(text, flush=True))
        found = {"kills": dict(counted), **audit(endpoint, controller.folder, api)}
    print(json.dumps(found))
    bad = ("unfinished", "steps_begun_twice", "starts_beyond_the_steps", "outcomes_twice", "outcomes_lost")
    if any(found[name] for name in bad) or not found["chain_intact"]:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
