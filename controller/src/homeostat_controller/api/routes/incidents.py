"""Incidents: what was found, and the way it went."""

from typing import Any

from fastapi import APIRouter
from sqlalchemy import Connection

from homeostat_controller.api import views
from homeostat_controller.api.dependencies import CoreOf, FilterText, PageOf
from homeostat_controller.api.filter_language import INCIDENT_FIELDS
from homeostat_controller.api.schemas import Incident, IncidentDetail, Timeline
from homeostat_controller.api.schemas import PageOf as Page
from homeostat_controller.api.selection import selection
from homeostat_controller.store import approvals, incidents

# Packs of one incident that its way tells of; budgets allow far fewer.
PACKS_SHOWN = 20
router = APIRouter(prefix="/incidents", tags=["incidents"])


@router.get("", response_model=Page[Incident])
def list_incidents(core: CoreOf, page: PageOf, q: FilterText = "") -> dict[str, Any]:
    """List incidents, the newest first."""
    now = core.clock()
    with core.database.read() as connection:
        found = incidents.list_page(connection, selection(q, INCIDENT_FIELDS, now), page)
    return views.page(found, views.incident, now)


@router.get("/{incident}")
def get_incident(core: CoreOf, incident: str) -> IncidentDetail:
    """Get one incident with its evidence and its way."""
    with core.database.read() as connection:
        return read_incident(connection, incident)


@router.get("/{incident}/timeline")
def get_incident_timeline(core: CoreOf, incident: str) -> Timeline:
    """Get an incident's way: detected, decided, pre-check, acted, verified or undone."""
    with core.database.read() as connection:
        found = read_incident(connection, incident)
    return Timeline(incident_id=found.id, steps=found.steps)


def read_incident(connection: Connection, incident: str) -> IncidentDetail:
    """Return one incident.

    Raises NotFound.
    """
    found = incidents.get(connection, incident)
    packs = [approvals.get(connection, pack) for pack in found.packs[-PACKS_SHOWN:]]
    return views.incident_detail(found, packs)
