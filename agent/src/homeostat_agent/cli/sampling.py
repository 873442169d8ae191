"""`sample`: readings of this endpoint as JSON lines, the same numbers the agent scores. Models are built from them."""

import json
import time
from datetime import UTC, datetime

from homeostat_agent.cli.entry import Asked
from homeostat_agent.cli.exits import CommandError, Exit
from homeostat_agent.decider import app

COUNT_MAX = 1_000_000


def sample(asked: Asked) -> int:
    """Print `--count` samples, `--period` seconds apart."""
    count, period_s = asked.options.count, asked.options.period or asked.config.agent.sample_period_s
    if not 1 <= count <= COUNT_MAX or period_s <= 0:
        raise CommandError(f"--count is 1 to {COUNT_MAX}, --period above 0.", code=Exit.USAGE)
    host = app.host(asked.config, lambda: datetime.now(UTC))
    host.read()  # rates are between two readings
    due = time.monotonic()
    for _ in range(count):
        due += period_s
        time.sleep(max(0.0, due - time.monotonic()))
        sampled = host.read().sample
        print(json.dumps({"at": sampled.at.isoformat(), "values": dict(sampled.values)}), flush=True)
    return int(Exit.DONE)
