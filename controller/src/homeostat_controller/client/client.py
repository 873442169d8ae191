"""The command line's one way to the controller: its REST API.

Invariant: whatever goes wrong on the way becomes a CommandError with what, why and the next command.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Self, TypeVar

import httpx

from homeostat_controller.client.exits import CommandError, Exit

T = TypeVar("T")

CONNECT_S_MAX = 5.0
ANSWER_S_MAX = 30.0
PAGE_ITEMS = 200
# More pages than any list has; a server that never ends a list must not hold a script for ever.
PAGES_MAX = 10_000
POLL_S = 0.3
_API = "/api/v1"
# Kinds of problem that mean something other than "failed" to a script.
_CODES: Mapping[str, Exit] = MappingProxyType(
    {
        "bad-filter": Exit.USAGE,
        "bad-request": Exit.USAGE,
        "forbidden": Exit.REFUSED_BY_POLICY,
        "approval-refused": Exit.REFUSED_BY_POLICY,
        "not-ready": Exit.NOT_REACHABLE,
    }
)


@dataclass(frozen=True, slots=True)
class Target:
    """Where the controller is and the token it knows us by."""

    url: str
    token: str


class Client:
    """Calls of the API as methods; answers are plain dictionaries."""

    def __init__(self, target: Target) -> None:
        self._url = target.url
        headers = {"Authorization": f"Bearer {target.token}"} if target.token else {}
        timeout = httpx.Timeout(ANSWER_S_MAX, connect=CONNECT_S_MAX)
        # trust_env: a proxy from the environment must not get to see the token of a loopback controller.
        self._http = httpx.Client(base_url=target.url, headers=headers, timeout=timeout, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def get(self, path: str, **query: str | int) -> dict[str, Any]:
        """Return one thing."""
        return self._call("GET", path, query=query)

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Ask for a change."""
        return self._call("POST", path, body=body)

    def delete(self, path: str) -> dict[str, Any]:
        """Take something back."""
        return self._call("DELETE", path)

    def pages(self, path: str, limit: int, **query: str) -> Iterator[dict[str, Any]]:
        """Yield a list's pages until `limit` items came (0: all of them)."""
        after, left = "", limit or PAGE_ITEMS * PAGES_MAX
        for _ in range(PAGES_MAX):
            page = self.get(path, limit=min(left, PAGE_ITEMS), **query, **({"after": after} if after else {}))
            yield page
            after, left = page.get("next") or "", left - len(page["items"])
            if not after or left <= 0:
                return

    def items(self, path: str, limit: int, **query: str) -> list[dict[str, Any]]:
        """Return a list's first `limit` items (0: all of them)."""
        return [item for page in self.pages(path, limit, **query) for item in page["items"]]

    def _call(
        self, method: str, path: str, *, query: Mapping[str, Any] | None = None, body: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        full = path if path.startswith(("/healthz", "/readyz")) else _API + path
        try:
            response = self._http.request(method, full, params=query, json=body)
        except httpx.HTTPError as error:
            raise unreachable(self._url, str(error)) from None
        if response.is_success:
            return _document(response, self._url) if response.content else {}
        raise _refused(response, self._url)


def wait_for(look: Callable[[], T | None], timeout_s: float, what: str) -> T:
    """Look every POLL_S until something is there.

    Raises CommandError with Exit.FAILED when `timeout_s` pass without it.
    """
    end = time.monotonic() + timeout_s
    while (found := look()) is None:
        if time.monotonic() >= end:
            raise CommandError(f"{what} did not happen within {timeout_s:g} s.", "It may still happen.", "")
        time.sleep(POLL_S)
    return found


def unreachable(url: str, why: str, then: str = "homeostat doctor") -> CommandError:
    """Return the error for a controller that does not answer."""
    return CommandError(
        f"The controller at {url} does not answer.", why or "The connection ended.", then, Exit.NOT_REACHABLE
    )


def _document(response: httpx.Response, url: str) -> dict[str, Any]:
    try:
        found = response.json()
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise CommandError(
            f"What answers at {url} is no Homeostat controller.", "It sent no JSON object.", "homeostat login --help"
        )
    return found


def _refused(response: httpx.Response, url: str) -> CommandError:
    try:
        problem = response.json()
        kind = str(problem["type"]).rpartition(":")[2]
        why = str(problem.get("detail", ""))
        errors = problem.get("errors") or []
        why += "".join(f"\n  {one['where']}: {one['sentence']}" for one in errors)
        return CommandError(str(problem["title"]), why, str(problem.get("next", "")), _CODES.get(kind, Exit.FAILED))
    except (ValueError, KeyError, TypeError, AttributeError):
        return CommandError(
            f"The controller at {url} answered {response.status_code}.", "The answer does not say why.", ""
        )
