"""Browser sessions and one-time welcome links, in memory: a restart signs everybody out, which costs one link.

Invariant: of a cookie, a link or a CSRF token only a SHA-256 is compared or kept, and every table here is bounded.
"""

import hashlib
import hmac
import secrets
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta

SESSIONS_MAX = 1000
SESSION_LIFE = timedelta(hours=12)
WELCOMES_MAX = 100
WELCOME_LIFE = timedelta(minutes=15)
# Not `__Host-…`: browsers take that prefix only with Secure, and Secure cookies never arrive over plain http. Behind a
# TLS proxy the cookie is still bound to this host: it has no Domain.
COOKIE = "homeostat_session"


@dataclass(frozen=True, slots=True)
class BrowserSession:
    """A signed-in browser. Forms must send `csrf` back."""

    name: str
    scope: str
    csrf: str
    expires_at: datetime


class Sessions:
    """All sessions and open welcome links of this process. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sessions: dict[bytes, BrowserSession] = {}
        self._welcomes: dict[bytes, BrowserSession] = {}

    def start(self, name: str, scope: str, now: datetime) -> tuple[str, BrowserSession]:
        """Open a session; return the cookie's value and the session."""
        session = BrowserSession(name, scope, secrets.token_urlsafe(32), now + SESSION_LIFE)
        return self._keep(self._sessions, session, SESSIONS_MAX, now), session

    def find(self, cookie: str, now: datetime) -> BrowserSession | None:
        """Return the live session of a cookie."""
        with self._lock:
            found = self._sessions.get(_digest(cookie))
        return found if found is not None and found.expires_at > now else None

    def end(self, cookie: str) -> None:
        """Close a session, if there is one."""
        with self._lock:
            self._sessions.pop(_digest(cookie), None)

    def invite(self, name: str, scope: str, now: datetime) -> tuple[str, datetime]:
        """Make a welcome link's secret, good once until the time returned."""
        welcome = BrowserSession(name, scope, "", now + WELCOME_LIFE)
        return self._keep(self._welcomes, welcome, WELCOMES_MAX, now), welcome.expires_at

    def accept(self, secret: str, now: datetime) -> BrowserSession | None:
        """Use up a welcome link; return whom it was made for, None when it is used, expired or made up."""
        with self._lock:
            found = self._welcomes.pop(_digest(secret), None)
        return found if found is not None and found.expires_at > now else None

    def _keep(self, table: dict[bytes, BrowserSession], one: BrowserSession, most: int, now: datetime) -> str:
        secret = secrets.token_urlsafe(32)
        with self._lock:
            for key in [key for key, old in table.items() if old.expires_at <= now]:
                del table[key]
            while len(table) >= most:
                del table[next(iter(table))]  # the oldest
            table[_digest(secret)] = one
        return secret


def same(one: str, other: str) -> bool:
    """Compare two secrets without telling by the time it takes."""
    return hmac.compare_digest(_digest(one), _digest(other))


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()
