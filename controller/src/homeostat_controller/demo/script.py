"""The demo's story: what happens in which order, told a line a step."""

import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from homeostat_controller.client.client import Client
from homeostat_controller.demo import faults, stage, watch
from homeostat_controller.demo.layout import ENDPOINTS, Layout

STEPS = 10
# Of which so many only start things.
START_STEPS = 4
# What each repair may take: detection in samples of a second, the repair, and the way to the controller.
HEAL_S_MAX = 60.0
READY_S_MAX = 60.0

# Fault → what it is called once diagnosed.
HEALED = {"crash": "service-down", "hang": "service-hung", "cpu": "runaway-cpu", "disk": "disk-full"}


def up(demo: Layout, models: Path, say: Callable[[str], None]) -> None:
    """Start what does not run, and tell the story if it was not told yet; raises TooLate when a wait's limit passes."""
    tell = _Steps(say, START_STEPS if demo.told.exists() else STEPS)
    with tell.step(f"Python {platform.python_version()}, {os.cpu_count()} cores, {sys.platform}"):
        pass
    with tell.step(f"controller on {demo.url}  (data: {demo.root})"):
        api = stage.start_controller(demo)
    with tell.step("policy 'demo' checked, signed with a lab key, published") as note:
        note(_publish(api))
    with tell.step("agents: " + ", ".join(one.name for one in ENDPOINTS) + " enrolled, under policy"):
        _start_endpoints(demo, api, models)
    if not demo.told.exists():
        _break_and_heal(demo, api, tell)
        demo.told.touch()


def _break_and_heal(demo: Layout, api: Client, tell: "_Steps") -> None:
    for name, fault in HEALED.items():
        with tell.step(f"fault: {faults.FAULTS[name].what}") as note:
            note(_healed(demo, api, name, fault))
    with tell.step(f"fault: {faults.FAULTS['config'].what}") as note:
        note(_observed(demo, api))
    with tell.step(f"fault: {faults.FAULTS['leak'].what}, twice") as note:
        note(_asked(demo, api))


def _publish(api: Client) -> str:
    """Publish the demo's policy, unless the administrator has one of that name."""
    if any(one["name"] == "demo" and one["revision"] for one in api.items("/policies", 0)):
        return "there already"
    api.post("/policies", {"text": stage.POLICY.read_text(encoding="utf-8")})
    return "ok"


def closing(demo: Layout, link: str) -> str:
    """Return what is printed at the end: the link and the next commands."""
    homeostat = command(demo)
    return "\n".join(
        (
            "",
            f" Open  {link}",
            f" Then  {homeostat} approvals list     what waits for you",
            f"       {homeostat} incidents list     what was healed",
            "       ./demo fault hang     break something else: " + ", ".join(faults.FAULTS),
            "       ./demo stop           end everything, leave nothing",
        )
    )


def command(demo: Layout) -> str:
    """Return how the command line is called for this demo's controller, from here."""
    return f"{_short(Path(stage.program('homeostat')))} --data-dir {_short(demo.controller)}"


def again(link: str) -> str:
    """Return what a second start says."""
    return f"The demo already runs.\n Open  {link}\n Then  ./demo status, ./demo fault NAME, ./demo stop"


def _short(path: Path) -> Path:
    """Return a path as it is typed here: relative where it lies below this folder."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _start_endpoints(demo: Layout, api: Client, models: Path) -> None:
    for endpoint in ENDPOINTS:
        stage.start_service(demo, endpoint)
        stage.enrol(demo, endpoint, api, models)
        stage.start_agent(demo, endpoint)
    for endpoint in ENDPOINTS:
        watch.wait_for(
            f"{endpoint.name} under policy",
            READY_S_MAX,
            partial(watch.governed, api, endpoint.name, "demo"),
            partial("its log is {}".format, demo.log(endpoint.name)),
        )


def _healed(demo: Layout, api: Client, name: str, diagnosed: str) -> str:
    endpoint = faults.FAULTS[name].endpoint
    before = {one["id"] for one in watch.incidents(api, endpoint.name, diagnosed)}
    began = time.monotonic()
    faults.FAULTS[name].inject(demo, endpoint)

    def fresh() -> list[watch.Row]:
        return [one for one in watch.incidents(api, endpoint.name, diagnosed) if one["id"] not in before]

    watch.wait_for(
        f"the repair of {diagnosed}",
        HEAL_S_MAX,
        lambda: next((one for one in fresh() if one["status"] == "healed"), None),
        lambda: watch.describe(fresh()),
    )
    return f"healed and verified, {time.monotonic() - began:.1f} s"


def _observed(demo: Layout, api: Client) -> str:
    fault = faults.FAULTS["config"]
    before = {one["id"] for one in watch.incidents(api, fault.endpoint.name, "config-broken")}
    fault.inject(demo, fault.endpoint)
    watch.wait_for(
        "the incident",
        HEAL_S_MAX,
        lambda: _new(watch.incidents(api, fault.endpoint.name, "config-broken"), before),
        lambda: f"the log is {demo.log(fault.endpoint.name)}",
    )
    faults.repair_config(demo)
    return "seen, not touched: policy says observe"


def _new(rows: list[watch.Row], before: set[str]) -> watch.Row | None:
    return next((one for one in rows if one["id"] not in before), None)


def _asked(demo: Layout, api: Client) -> str:
    fault = faults.FAULTS["leak"]
    if watch.waiting(api, fault.endpoint.name) is not None:
        return "waiting for you already"
    first = _healed(demo, api, "leak", "memory-leak")
    _inject_when_up(demo, fault)
    watch.wait_for(
        "the exception pack",
        HEAL_S_MAX,
        lambda: watch.waiting(api, fault.endpoint.name),
        lambda: watch.describe(watch.incidents(api, fault.endpoint.name, "memory-leak")),
    )
    return f"{first}; then its budget was spent: waiting for you"


def _inject_when_up(demo: Layout, fault: faults.Fault) -> None:
    """Inject once the restarted service takes it: it needs a moment before it can be told to leak again."""
    end = time.monotonic() + READY_S_MAX
    while True:
        try:
            return fault.inject(demo, fault.endpoint)
        except faults.FaultError:
            if time.monotonic() > end:
                raise
            time.sleep(watch.POLL_S)


class _Steps:
    """Numbers the steps and prints a line for each as it ends."""

    def __init__(self, say: Callable[[str], None], total: int) -> None:
        self._say = say
        self._total = total
        self._number = 0

    @contextmanager
    def step(self, what: str) -> Iterator[Callable[[str], None]]:
        self._number += 1
        notes: list[str] = []
        yield notes.append
        self._say(f" {self._number:2}/{self._total}  {what:<72} {'; '.join(notes) or 'ok'}")
