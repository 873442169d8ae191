"""The one door: every request passes here before any route sees it, and is refused unless it proves who asks.

Invariant: deny by default. A route that is not in PUBLIC is never reached without an identity, and a cookie alone
never changes anything: unsafe requests of a browser also need its own origin and the session's CSRF token.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from homeostat_controller.api.problems import SIGN_IN, Trouble, response
from homeostat_controller.api.sessions import COOKIE, BrowserSession, Sessions, same

# Reached without an identity: liveness for supervisors, the way in, and what the way in is drawn with.
PUBLIC = frozenset({"/healthz", "/readyz", "/sign-in", "/api/v1/session/welcome"})
PUBLIC_FOLDER = "/static/"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
FORM = "application/x-www-form-urlencoded"
FORM_BYTES_MAX = 16 << 10
FORM_FIELDS_MAX = 32
CREDENTIAL_CHARACTERS_MAX = 512
_FOREIGN = Trouble(
    "forbidden",
    403,
    "This request comes from another page.",
    "A browser may change things only from the controller's own pages.",
    "Open the console again and repeat it there.",
)
_HOST = Trouble(
    "wrong-host",
    421,
    "This controller does not go by that name.",
    "The Host header is none of its names.",
    "Add the name to `names` in controller.toml.",
)
_TOO_LARGE = Trouble("too-large", 413, "The form is too large.", f"{FORM_BYTES_MAX} bytes are allowed.", "")


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks, and how they proved it. `csrf` is "" for tokens, which no browser sends on its own."""

    name: str
    scope: str
    via: Literal["token", "session"]
    csrf: str = ""


@dataclass(frozen=True, slots=True)
class Wiring:
    """What the gate needs to know. `lookup` gives the identity of a live token; it may block only in a thread."""

    names: frozenset[str]
    sessions: Sessions
    lookup: Callable[[str], Awaitable[Identity | None]]
    clock: Callable[[], datetime]


class Gate:
    """ASGI middleware; the identity it finds lies in `request.state.identity`."""

    def __init__(self, app: ASGIApp, wiring: Wiring) -> None:
        self._app = app
        self._wiring = wiring

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request pass, or answer it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if _host_name(headers.get("host", "")) not in self._wiring.names:
            await response(_HOST)(scope, receive, send)
            return
        identity = await self._identity(headers)
        refusal, receive = await _judge(scope, headers, identity, receive)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        scope.setdefault("state", {})["identity"] = identity
        await self._app(scope, receive, send)

    async def _identity(self, headers: Headers) -> Identity | None:
        """Return who asks. A bad token is not made up for by a good cookie."""
        if "authorization" in headers:
            kind, _, token = headers["authorization"].partition(" ")
            usable = kind.lower() == "bearer" and 0 < len(token) <= CREDENTIAL_CHARACTERS_MAX
            return await self._wiring.lookup(token.strip()) if usable else None
        cookie = session_cookie(headers)
        session = self._wiring.sessions.find(cookie, self._wiring.clock()) if cookie else None
        return None if session is None else _of_session(session)


def session_cookie(headers: Headers) -> str:
    """Return the session cookie of a request, "" when there is none."""
    found = cookie_parser(headers.get("cookie", "")).get(COOKIE, "")
    return found if len(found) <= CREDENTIAL_CHARACTERS_MAX else ""


def is_public(path: str) -> bool:
    """Say whether a path may be reached without an identity."""
    return path in PUBLIC or path.startswith(PUBLIC_FOLDER)


def _of_session(session: BrowserSession) -> Identity:
    return Identity(session.name, session.scope, "session", session.csrf)


async def _judge(
    scope: Scope, headers: Headers, identity: Identity | None, receive: Receive
) -> tuple[Response | None, Receive]:
    """Return the answer to a request that may not pass, and how its body is to be read from now on."""
    public = is_public(scope["path"])
    if identity is None and not public:
        return _unknown(scope, headers), receive
    by_token = identity is not None and identity.via == "token"
    if scope["method"] in SAFE or by_token:
        return None, receive
    if not _own_origin(headers, needed=not public):
        return response(_FOREIGN), receive
    return (None, receive) if public or identity is None else await _csrf(headers, identity, receive)


def _own_origin(headers: Headers, *, needed: bool) -> bool:
    origin = headers.get("origin")
    return not needed if origin is None else urlsplit(origin).netloc == headers.get("host")


async def _csrf(headers: Headers, identity: Identity, receive: Receive) -> tuple[Response | None, Receive]:
    sent = headers.get("x-csrf-token", "")
    if not sent and headers.get("content-type", "").partition(";")[0].strip() == FORM:
        body = await _whole_body(receive)
        if body is None:
            return response(_TOO_LARGE), receive
        sent = form(body).get("csrf", "")
        receive = _again(body, receive)
    return (None if same(sent, identity.csrf) else response(_FOREIGN)), receive


def form(body: bytes) -> dict[str, str]:
    """Return a form's fields, the first of each name; empty when it is none."""
    try:
        fields = parse_qs(body.decode("ascii"), keep_blank_values=True, max_num_fields=FORM_FIELDS_MAX)
    except ValueError:
        return {}
    return {name: values[0] for name, values in fields.items()}


async def _whole_body(receive: Receive) -> bytes | None:
    """Read a body to its end; None when it is above FORM_BYTES_MAX."""
    parts = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return bytes(parts)
        parts += message.get("body", b"")
        if len(parts) > FORM_BYTES_MAX:
            return None
        if not message.get("more_body", False):
            return bytes(parts)


def _again(body: bytes, receive: Receive) -> Receive:
    """Return a receive that gives `body` first, as if nobody had read it."""
    given = False

    async def receive_again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_again


def _unknown(scope: Scope, headers: Headers) -> Response:
    """Send a browser to the way in, and tell everything else what is missing."""
    wants_page = scope["method"] in SAFE and "text/html" in headers.get("accept", "")
    if wants_page and not scope["path"].startswith("/api/"):
        return RedirectResponse("/sign-in", 303)
    return response(SIGN_IN)


def _host_name(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()
