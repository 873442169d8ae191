"""Policies and what became of them on each endpoint, as the API says it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from homeostat.wire.v1 import policy_pb2
from homeostat_controller.agents import offers
from homeostat_controller.api import views
from homeostat_controller.api.admin_schemas import EndpointPolicy, Mistake, Policies, Policy, PolicyDetail
from homeostat_controller.errors import NotFound
from homeostat_controller.store import endpoints, policy_statuses
from homeostat_controller.store import policies as stored
from homeostat_controller.store.conditions import LABEL_PREFIX, Condition, Filter
from homeostat_controller.store.endpoints import EndpointView, PolicyStatusView
from homeostat_controller.store.organisations import DEFAULT
from homeostat_controller.store.paging import Page, PageRequest
from homeostat_controller.store.policies import PolicyView, PublishedBytes, RevisionView

NEVER_SAID = PolicyStatusView()


def policies(found: Page[PolicyView], as_of: datetime, *, lab_keys: bool) -> Policies:
    """Say a page of policies."""
    return Policies(**views.page(found, _policy, as_of), lab_keys=lab_keys)


def policy_detail(current: RevisionView, endpoints_active: int, *, lab_keys: bool) -> PolicyDetail:
    """Say the published revision of a policy, with its text."""
    return PolicyDetail(
        name=current.policy,
        organisation=current.organisation_id,
        revision=current.revision or 0,
        published_by=current.published_by,
        published_at=current.published_at,
        endpoints_active=endpoints_active,
        has_draft=False,
        text=current.text,
        sha256=(current.sha256 or b"").hex(),
        author=current.author,
        lab_keys=lab_keys,
    )


def mistakes(problems: Sequence[object]) -> list[Mistake]:
    """Say what is wrong with a document; a problem without a place is one of the document as a whole."""
    return [
        Mistake(
            line=getattr(one, "line", 1),
            column=getattr(one, "column", 1),
            path=".".join(map(str, getattr(one, "path", ()))),
            sentence=str(getattr(one, "sentence", one)),
        )
        for one in problems
    ]


def selected(connection: Connection, policy: str, request: PageRequest) -> Page[EndpointView]:
    """Return the active endpoints whose labels a published policy selects.

    Raises NotFound when it is not published.
    """
    selector = policy_pb2.Policy.FromString(_published(connection, policy).compiled).selector
    labels = [Condition(f"{LABEL_PREFIX}{match.key}", tuple(match.values)) for match in selector.matches]
    wanted = Filter((Condition("standing", ("active",)), *labels), DEFAULT)
    return endpoints.list_page(connection, wanted, request)


def active_on(connection: Connection, policy: str) -> int:
    """Return on how many endpoints a policy is active, in whatever revision."""
    wanted = Filter((Condition("policy", (policy,)),), DEFAULT)
    return endpoints.list_page(connection, wanted, PageRequest(limit=1)).total


def statuses(connection: Connection, policy: str, request: PageRequest, as_of: datetime) -> dict[str, Any]:
    """Say what became of a policy on each endpoint that it selects.

    Raises NotFound when it is not published.
    """
    found = selected(connection, policy, request)
    board = offers.board(stored.published(connection))
    published = _published(connection, policy)
    said = policy_statuses.of(connection, [one.id for one in found.items])

    def say(view: EndpointView) -> EndpointPolicy:
        status = said.get(view.id, NEVER_SAID)
        offer = board.offer(view.organisation_id, view.labels)
        state = _state(status, published) if offer and offer.name == policy else "outranked"
        return EndpointPolicy(endpoint_id=view.id, endpoint=view.name, state=state, status=views.policy_status(status))

    return views.page(found, say, as_of)


def _state(said: PolicyStatusView, published: PublishedBytes) -> str:
    wanted = (published.name, published.revision)
    if (said.active_name, said.active_revision) == wanted:
        return "active"
    if (said.rejected_name, said.rejected_revision) == wanted:
        return "rejected"
    return "offered" if (said.offered_name, said.offered_revision) == wanted else "pending"


def _published(connection: Connection, policy: str) -> PublishedBytes:
    found = (one for one in stored.published(connection) if (one.organisation_id, one.name) == (DEFAULT, policy))
    if (one := next(found, None)) is None:
        raise NotFound(f"the policy {policy!r} is not published")
    return one


def _policy(view: PolicyView) -> Policy:
    return Policy(
        name=view.name,
        organisation=view.organisation_id,
        revision=view.revision,
        published_by=view.published_by,
        published_at=view.published_at,
        endpoints_active=view.endpoints_active,
        has_draft=view.has_draft,
    )
