"""Who is asking, and the one-time link that signs a browser in."""

from typing import Annotated

from fastapi import APIRouter, Body, Request, Response

from homeostat_controller.api.admin_schemas import Session, WelcomeLink
from homeostat_controller.api.dependencies import CoreOf, IdentityOf, SessionsOf
from homeostat_controller.api.gate import session_cookie
from homeostat_controller.api.problems import Refused, Trouble
from homeostat_controller.api.requests import Welcome
from homeostat_controller.api.sessions import COOKIE, SESSION_LIFE, BrowserSession, Sessions
from homeostat_controller.core import Core
from homeostat_controller.store import audit

router = APIRouter(tags=["access"])
_USED = Trouble(
    "not-signed-in",
    401,
    "This link does not sign anyone in.",
    "It was used before, or it is older than 15 minutes.",
    "Make another one: homeostat console",
)


@router.get("/session")
def get_session(identity: IdentityOf) -> Session:
    """Say who is asking."""
    return Session(name=identity.name, scope=identity.scope, via=identity.via)


@router.post("/session/welcome")
def accept_welcome(
    core: CoreOf, sessions: SessionsOf, response: Response, request: Request, welcome: Annotated[Welcome, Body()]
) -> Session:
    """Use up a welcome link and open a browser session."""
    invited = sessions.accept(welcome.secret, core.clock())
    if invited is None:
        raise Refused(_USED)
    cookie, session = open_session(core, sessions, invited.name, invited.scope)
    set_cookie(response, request, cookie)
    return Session(name=session.name, scope=session.scope, via="session")


@router.delete("/session", status_code=204)
def end_session(sessions: SessionsOf, request: Request, response: Response) -> None:
    """End the browser session of this request."""
    sessions.end(session_cookie(request.headers))
    response.delete_cookie(COOKIE, path="/")


@router.post("/welcome-links", status_code=201)
def create_welcome_link(core: CoreOf, sessions: SessionsOf, identity: IdentityOf, request: Request) -> WelcomeLink:
    """Make a link that signs one browser in, once, within 15 minutes."""
    secret, expires_at = sessions.invite(identity.name, identity.scope, core.clock())
    return WelcomeLink(url=f"{str(request.base_url).rstrip('/')}/#welcome={secret}", expires_at=expires_at)


def open_session(core: Core, sessions: Sessions, name: str, scope: str) -> tuple[str, BrowserSession]:
    """Open a browser session, on the record; return its cookie."""
    with core.database.write() as connection:
        audit.append(connection, audit.Act(name, "sign-in", "console", ""), core.clock())
    return sessions.start(name, scope, core.clock())


def set_cookie(response: Response, request: Request, cookie: str) -> None:
    """Give a browser its session. Secure wherever the browser came over https."""
    secure = request.url.scheme == "https"
    life = int(SESSION_LIFE.total_seconds())
    response.set_cookie(COOKIE, cookie, max_age=life, path="/", secure=secure, httponly=True, samesite="strict")
