"""Enrolment tokens: made, listed, revoked. A token's text is in one answer only."""

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Body, Query

from homeostat_controller.agents.enrolment import TokenRequest
from homeostat_controller.api import views
from homeostat_controller.api.admin_schemas import EnrolmentToken, NewEnrolmentToken
from homeostat_controller.api.dependencies import CoreOf, IdentityOf, PageOf
from homeostat_controller.api.requests import TokenAsked
from homeostat_controller.api.schemas import PageOf as Page
from homeostat_controller.store import organisations, tokens

router = APIRouter(prefix="/enrolment-tokens", tags=["enrolment"])
Status = Annotated[str, Query(pattern="^(open|redeemed|revoked|expired|frozen)?$")]


@router.get("", response_model=Page[EnrolmentToken])
def list_enrolment_tokens(core: CoreOf, page: PageOf, status: Status = "") -> dict[str, Any]:
    """List enrolment tokens, the newest first."""
    now = core.clock()
    with core.database.read() as connection:
        groups = {one.id: one.path for one in organisations.groups(connection)}
        found = tokens.list_page(connection, status, page, now)
    return views.page(found, lambda one: views.enrolment_token(one, groups), now)


@router.post("", status_code=201)
def create_enrolment_token(
    core: CoreOf, identity: IdentityOf, asked: Annotated[TokenAsked, Body()]
) -> NewEnrolmentToken:
    """Make a token that lets one endpoint join, once."""
    wanted = TokenRequest(
        asked.group or organisations.DEFAULT, asked.labels, asked.note, timedelta(minutes=asked.minutes)
    )
    made = core.enrolment.create_token(wanted, identity.name)
    with core.database.read() as connection:
        groups = {one.id: one.path for one in organisations.groups(connection)}
        kept = tokens.get(connection, made.id, core.clock())
    return NewEnrolmentToken(**views.enrolment_token(kept, groups).model_dump(), token=made.text)


@router.delete("/{token}", status_code=204)
def revoke_enrolment_token(core: CoreOf, identity: IdentityOf, token: str) -> None:
    """Revoke a token that was not used."""
    core.enrolment.revoke_token(token, identity.name)
