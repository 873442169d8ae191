"""What the demo waits for, read from the controller's API as any administrator would.

Every wait has a limit, and when the limit passes it says what was seen instead.
"""

import time
from collections.abc import Callable
from typing import Any

from homeostat_controller.client.client import Client
from homeostat_controller.client.exits import CommandError

POLL_S = 0.2
Row = dict[str, Any]


class TooLate(Exception):  # noqa: N818  # it says what happened, as a sentence does
    """A wait's limit passed; the message says for what, and what was seen instead."""


def wait_for(what: str, limit_s: float, look: Callable[[], Row | None], seen: Callable[[], str]) -> Row:
    """Look until there is something; raises TooLate with what `seen` says after `limit_s` seconds."""
    end = time.monotonic() + limit_s
    while (found := look()) is None:
        if time.monotonic() >= end:
            raise TooLate(f"{what} did not come within {limit_s:.0f} s; {seen()}")
        time.sleep(POLL_S)
    return found


def answers(client: Client) -> Row | None:
    """Return something once the controller is ready."""
    try:
        return client.get("/readyz")
    except CommandError:
        return None


def governed(client: Client, name: str, policy: str) -> Row | None:
    """Return the endpoint once it is under that policy."""
    found = endpoint(client, name)
    return found if found and found["policy"]["name"] == policy else None


def endpoint(client: Client, name: str) -> Row | None:
    """Return an endpoint by name, or None when it is not enrolled."""
    return next((one for one in client.items("/endpoints", 0) if one["name"] == name), None)


def incidents(client: Client, name: str, fault: str) -> list[Row]:
    """Return an endpoint's incidents of one fault, the newest first."""
    rows = client.items("/incidents", 0)
    return [one for one in rows if one["endpoint"] == name and one["fault"] == fault]


def waiting(client: Client, name: str) -> Row | None:
    """Return an endpoint's exception pack that waits for a person."""
    rows = client.items("/approvals", 0)
    return next((one for one in rows if one["endpoint"] == name and one["status"] == "waiting"), None)


def describe(rows: list[Row]) -> str:
    """Say in a sentence where incidents stand."""
    if not rows:
        return "no incident was opened"
    return "seen: " + ", ".join(f"{one['fault']} on {one['subject']} is {one['status']}" for one in rows[:3])
