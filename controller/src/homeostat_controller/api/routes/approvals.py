"""Approvals: a person's yes or no to one plan on one endpoint."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Body
from sqlalchemy import Connection

from homeostat_controller.api import views
from homeostat_controller.api.dependencies import CoreOf, FilterText, IdentityOf, PageOf
from homeostat_controller.api.filter_language import APPROVAL_FIELDS
from homeostat_controller.api.problems import Refused, Trouble
from homeostat_controller.api.requests import Approve, Deny, Target
from homeostat_controller.api.schemas import Approval, ApprovalDetail
from homeostat_controller.api.schemas import PageOf as Page
from homeostat_controller.api.selection import selection
from homeostat_controller.core import Core
from homeostat_controller.errors import Conflict, NotFound
from homeostat_controller.store import approvals, incidents

router = APIRouter(prefix="/approvals", tags=["approvals"])


@router.get("", response_model=Page[Approval])
def list_approvals(core: CoreOf, page: PageOf, q: FilterText = "") -> dict[str, Any]:
    """List exception packs, the newest first."""
    now = core.clock()
    with core.database.read() as connection:
        found = approvals.list_page(connection, selection(q, APPROVAL_FIELDS, now), page)
    return views.page(found, views.approval, now)


@router.get("/{approval}")
def get_approval(core: CoreOf, approval: str) -> ApprovalDetail:
    """Get one exception pack: the plan, its target, risk, expected effect, undo and evidence."""
    with core.database.read() as connection:
        return read_approval(connection, approval)


@router.post("/{approval}/approve")
def approve(core: CoreOf, identity: IdentityOf, approval: str, asked: Annotated[Approve, Body()]) -> ApprovalDetail:
    """Approve the plan that was shown, on the endpoint that was shown, once."""
    refuse_another_target(core, approval, asked.expected)
    return _answered(core, approval, lambda: core.approvals.approve(approval, identity.name, asked.reason))


@router.post("/{approval}/deny")
def deny(core: CoreOf, identity: IdentityOf, approval: str, asked: Annotated[Deny, Body()]) -> ApprovalDetail:
    """Deny it; the endpoint does nothing."""
    return _answered(core, approval, lambda: core.approvals.deny(approval, identity.name, asked.reason))


def read_approval(connection: Connection, approval: str) -> ApprovalDetail:
    """Return one exception pack with what came of it.

    Raises NotFound.
    """
    found = approvals.get(connection, approval)
    return views.approval_detail(found, _run_of(connection, found))


def refuse_another_target(core: Core, approval: str, expected: Target) -> None:
    """Refuse an approval of something other than what is stored; a pack's plan never changes once it is stored."""
    with core.database.read() as connection:
        found = read_approval(connection, approval)
    if found.target == expected and expected.plan_digest:
        return
    why = "What was approved is not what would be done: the plan or its endpoint differs from what you were shown."
    raise Refused(_refusal(why))


def _answered(core: Core, approval: str, answer: Callable[[], object]) -> ApprovalDetail:
    try:
        answer()
    except Conflict as error:
        raise Refused(_refusal(f"{error}.")) from None
    with core.database.read() as connection:
        return read_approval(connection, approval)


def _refusal(why: str) -> Trouble:
    return Trouble(
        "approval-refused", 409, "The answer was not taken.", why, "Look at it again: homeostat approvals list"
    )


def _run_of(connection: Connection, found: approvals.PackDetail) -> incidents.OutcomeView | None:
    """Return the healing run that an approval let start, once it has ended."""
    if not found.run_id:
        return None
    try:
        outcomes = incidents.get(connection, found.view.incident_id).outcomes
    except NotFound:
        return None
    return next((one for one in outcomes if one.run_id == found.run_id), None)
