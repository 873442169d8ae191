"""For supervisors and scrapers: is it alive, can it serve, what does it measure."""

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from homeostat_controller.api.admin_schemas import Health
from homeostat_controller.api.dependencies import CoreOf
from homeostat_controller.api.problems import Refused, Trouble
from homeostat_controller.store.database import reachable

router = APIRouter(tags=["health"])


@router.get("/healthz")
def get_health() -> Health:
    """Say that the process runs."""
    return Health(status="ok")


@router.get("/readyz")
def get_readiness(core: CoreOf) -> Health:
    """Say whether requests can be served: the database answers."""
    why = reachable(core.database)
    if why:
        raise Refused(Trouble("not-ready", 503, "The controller cannot serve yet.", why, "Look at the database."))
    return Health(status="ok")


@router.get("/metrics", response_class=Response)
def get_metrics(core: CoreOf) -> Response:
    """Give the metrics in Prometheus' text format."""
    return Response(generate_latest(core.metrics.registry), media_type=CONTENT_TYPE_LATEST)
