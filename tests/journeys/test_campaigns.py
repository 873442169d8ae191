"""The short form of every campaign in bench/: that it runs, and that what it counts is right. No timing is judged."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BENCH = Path(__file__).parents[2] / "bench"

pytestmark = pytest.mark.timeout(300)


def run(name: str, *arguments: str) -> list[dict[str, Any]]:
    """Run one campaign and return the JSON objects it printed."""
    argv = [sys.executable, str(BENCH / name), *arguments]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def test_killed_in_the_middle_nothing_is_done_twice_or_lost() -> None:
    (found,) = run("crash_campaign.py", "--kills", "10", "--seed", "3")
    assert sum(found["kills"].values()) == 10
    assert found["unfinished"] == found["steps_begun_twice"] == found["starts_beyond_the_steps"] == 0
    assert found["outcomes_twice"] == found["outcomes_lost"] == 0
    assert found["runs"] >= 10
    assert found["chain_intact"]


def test_what_happened_without_the_controller_arrives_once_and_in_order() -> None:
    (found,) = run("outage.py", "--incidents", "6")
    assert found["healed_without_controller"] == found["outcomes_arrived"] == 6
    assert found["each_once"]
    assert found["in_order"]
    assert found["chain_intact"]


def test_a_policy_reaches_every_session() -> None:
    (found,) = run("push.py", "--sessions", "20", "--publications", "2")
    assert found["all_shown_active_by_the_api_p50_ms"] > 0


@pytest.mark.peers
def test_a_killed_service_is_healthy_again_here_and_under_monit() -> None:
    ours, monit = run("kill_to_healthy.py", "--kills", "3", "--monit-kills", "1", "--slow-kills", "0")
    assert (ours["kills"], monit["kills"]) == (3, 1)


@pytest.mark.peers
def test_the_footprint_is_measured_beside_netdata() -> None:
    rows = {row["who"]: row for row in run("footprint.py", "--seconds", "3", "--settle", "3")}
    assert set(rows) == {"decider", "actuator", "both", "netdata"}
    assert rows["both"]["rss_mib"] > 0
