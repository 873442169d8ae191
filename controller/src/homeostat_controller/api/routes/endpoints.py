"""Endpoints: the fleet and one of its machines."""

from typing import Any

from fastapi import APIRouter

from homeostat_controller.api import views
from homeostat_controller.api.dependencies import CoreOf, FilterText, PageOf
from homeostat_controller.api.filter_language import ENDPOINT_FIELDS
from homeostat_controller.api.schemas import Endpoint, EndpointDetail
from homeostat_controller.api.schemas import PageOf as Page
from homeostat_controller.api.selection import selection
from homeostat_controller.store import endpoints

router = APIRouter(prefix="/endpoints", tags=["endpoints"])


@router.get("", response_model=Page[Endpoint])
def list_endpoints(core: CoreOf, page: PageOf, q: FilterText = "") -> dict[str, Any]:
    """List endpoints by name."""
    now = core.clock()
    with core.database.read() as connection:
        found = endpoints.list_page(connection, selection(q, ENDPOINT_FIELDS, now), page)
    return views.page(found, views.endpoint, now)


@router.get("/{endpoint}")
def get_endpoint(core: CoreOf, endpoint: str) -> EndpointDetail:
    """Get one endpoint by id, or by name where only one has it."""
    with core.database.read() as connection:
        return views.endpoint_detail(endpoints.get(connection, endpoint))
