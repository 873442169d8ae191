"""What routes are handed: the core, who asks, and the page of a list that is asked for."""

from typing import Annotated

from fastapi import Depends, Query, Request

from homeostat_controller.api.filter_language import FILTER_CHARACTERS_MAX
from homeostat_controller.api.gate import Identity
from homeostat_controller.api.problems import SIGN_IN, Refused
from homeostat_controller.api.sessions import Sessions
from homeostat_controller.core import Core
from homeostat_controller.store.paging import CURSOR_CHARACTERS_MAX, LIMIT_DEFAULT, LIMIT_MAX, PageRequest


def core_of(request: Request) -> Core:
    """Return the core behind this application."""
    core: Core = request.app.state.core
    return core


def sessions_of(request: Request) -> Sessions:
    """Return the browser sessions of this application."""
    sessions: Sessions = request.app.state.sessions
    return sessions


def identity_of(request: Request) -> Identity:
    """Return who asks; the gate let nobody else through, and this holds even if it once did."""
    identity: Identity | None = getattr(request.state, "identity", None)
    if identity is None:
        raise Refused(SIGN_IN)
    return identity


def page_request(
    limit: Annotated[int, Query(ge=1, le=LIMIT_MAX, description="At most this many items.")] = LIMIT_DEFAULT,
    after: Annotated[str, Query(max_length=CURSOR_CHARACTERS_MAX, description="`next` of the page before.")] = "",
) -> PageRequest:
    """Return which page of a list is asked for."""
    return PageRequest(limit, after)


CoreOf = Annotated[Core, Depends(core_of)]
SessionsOf = Annotated[Sessions, Depends(sessions_of)]
IdentityOf = Annotated[Identity, Depends(identity_of)]
PageOf = Annotated[PageRequest, Depends(page_request)]
FilterText = Annotated[
    str,
    Query(
        alias="q",
        max_length=FILTER_CHARACTERS_MAX,
        description="A filter, such as `status:ok -site:lyon os:debian last_seen:<1h`.",
        examples=["status:offline"],
    ),
]
