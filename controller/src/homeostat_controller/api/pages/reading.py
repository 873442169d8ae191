"""The pages that show: overview, endpoint, incidents, approvals, policies."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from homeostat_controller.api import policy_views
from homeostat_controller.api.dependencies import CoreOf, FilterText, PageOf, core_of
from homeostat_controller.api.filter_language import FilterError
from homeostat_controller.api.pages.framing import PageRoute, drawn, frame
from homeostat_controller.api.routes import approvals as approval_routes
from homeostat_controller.api.routes import endpoints as endpoint_routes
from homeostat_controller.api.routes import incidents as incident_routes
from homeostat_controller.api.routes.policies import list_policies, read_policy
from homeostat_controller.api.schemas import ApprovalDetail, IncidentDetail
from homeostat_controller.core import Core
from homeostat_controller.store import approvals, endpoints, incidents
from homeostat_controller.store.paging import PageRequest

INCIDENTS_SHOWN = 8
router = APIRouter(route_class=PageRoute, include_in_schema=False)
_NOTHING: Mapping[str, Any] = {"items": [], "total": 0, "next": ""}
ListOf = Callable[[Core, PageRequest, str], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Figures:
    """The fleet in figures, from counts by status."""

    endpoints: int
    well: int
    healed: int
    ended: int
    not_helped: int
    open: int
    by_status: tuple[tuple[str, int], ...]


@router.get("/", response_class=HTMLResponse)
def overview(request: Request, core: CoreOf, page: PageOf, q: FilterText = "") -> HTMLResponse:
    """Show the fleet: figures, what waits, the last repair, every endpoint."""
    found, mistake = _searched(endpoint_routes.list_endpoints, core, page, q)
    return drawn(
        "overview.html",
        frame=frame(request, "Overview", "overview"),
        figures=_figures(core),
        waiting=_waiting(core),
        latest=_latest(core),
        endpoints=found,
        query=q,
        mistake=mistake,
    )


@router.get("/endpoints/{endpoint}", response_class=HTMLResponse)
def endpoint_page(request: Request, core: CoreOf, endpoint: str) -> HTMLResponse:
    """Show one endpoint."""
    found = endpoint_routes.get_endpoint(core, endpoint)
    lately = incident_routes.list_incidents(core, PageRequest(limit=INCIDENTS_SHOWN), f"endpoint_id:{found.id}")
    return drawn(
        "endpoint.html", frame=frame(request, found.name, "overview"), endpoint=found, incidents=lately["items"]
    )


@router.get("/incidents", response_class=HTMLResponse)
def incidents_page(request: Request, core: CoreOf, page: PageOf, q: FilterText = "") -> HTMLResponse:
    """Show what was found."""
    found, mistake = _searched(incident_routes.list_incidents, core, page, q)
    with core.database.read() as connection:
        by_status = _ordered(incidents.counts(connection))
    outer = frame(request, "Incidents", "incidents")
    return drawn("incidents.html", frame=outer, incidents=found, query=q, mistake=mistake, by_status=by_status)


@router.get("/incidents/{incident}", response_class=HTMLResponse)
def incident_page(request: Request, core: CoreOf, incident: str) -> HTMLResponse:
    """Show one incident and its way."""
    found = incident_routes.get_incident(core, incident)
    return drawn("incident.html", frame=frame(request, "Incident", "incidents"), incident=found)


@router.get("/approvals", response_class=HTMLResponse)
def approvals_page(request: Request, core: CoreOf, page: PageOf, q: FilterText = "") -> HTMLResponse:
    """Show what waits for a person, and what people answered."""
    found, mistake = _searched(approval_routes.list_approvals, core, page, q)
    with core.database.read() as connection:
        by_status = _ordered(approvals.counts(connection))
    outer = frame(request, "Approvals", "approvals")
    return drawn("approvals.html", frame=outer, approvals=found, query=q, mistake=mistake, by_status=by_status)


@router.get("/approvals/{approval}", response_class=HTMLResponse)
def approval_page(request: Request, approval: str) -> HTMLResponse:
    """Show one exception pack, with the form to answer it."""
    return draw_approval(request, approval)


@router.get("/policies", response_class=HTMLResponse)
def policies_page(request: Request, core: CoreOf, page: PageOf) -> HTMLResponse:
    """Show what is published."""
    found = list_policies(core, page)
    return drawn("policies.html", frame=frame(request, "Policies", "policies"), policies=found)


@router.get("/policies/{policy}", response_class=HTMLResponse)
def policy_page(request: Request, core: CoreOf, page: PageOf, policy: str) -> HTMLResponse:
    """Show one policy and what became of it on each endpoint."""
    with core.database.read() as connection:
        found = read_policy(core, connection, policy)
        statuses = policy_views.statuses(connection, policy, page, core.clock())
    return drawn(
        "policy.html", frame=frame(request, f"Policy {found.name}", "policies"), policy=found, statuses=statuses
    )


def draw_approval(request: Request, approval: str, reason: str = "", mistake: str = "") -> HTMLResponse:
    """Return the page of one exception pack; after a refused answer with what was wrong, and what was typed."""
    found = approval_routes.get_approval(core_of(request), approval)
    return drawn(
        "approval.html",
        409 if mistake else 200,
        frame=frame(request, "Approval", "approvals"),
        approval=found,
        target=list(found.target.model_dump().items()),
        reason=reason,
        mistake=mistake,
    )


def _searched(list_of: ListOf, core: Core, page: PageRequest, text: str) -> tuple[Mapping[str, Any], str]:
    """Return a list, and what is wrong with the text of its filter."""
    try:
        return list_of(core, page, text), ""
    except FilterError as error:
        return _NOTHING, f"{error.why} {error.instead}"


def _figures(core: Core) -> Figures:
    with core.database.read() as connection:
        fleet, found = dict(endpoints.counts(connection)), incidents.counts(connection)
    total = fleet.pop("total")
    healed = found.get("healed", 0)
    not_helped = sum(found.get(status, 0) for status in ("rolled-back", "failed", "unverified"))
    return Figures(
        endpoints=total,
        well=fleet.get("ok", 0) + fleet.get("observing", 0),
        healed=healed,
        ended=healed + not_helped,
        not_helped=not_helped,
        open=found.get("open", 0) + found.get("waiting", 0),
        by_status=_ordered(fleet),
    )


def _waiting(core: Core) -> ApprovalDetail | None:
    found = approval_routes.list_approvals(core, PageRequest(limit=1), "status:waiting")["items"]
    return approval_routes.get_approval(core, found[0].id) if found else None


def _latest(core: Core) -> IncidentDetail | None:
    found = incident_routes.list_incidents(core, PageRequest(limit=1), "status:healed,rolled-back,failed")["items"]
    return incident_routes.get_incident(core, found[0].id) if found else None


def _ordered(counts: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(counts.items(), key=lambda entry: (-entry[1], entry[0])))
