"""The audit log: who did what, and whether the record is whole."""

from typing import Any

from fastapi import APIRouter

from homeostat_controller.api import views
from homeostat_controller.api.admin_schemas import AuditEntry, AuditVerification
from homeostat_controller.api.dependencies import CoreOf, PageOf
from homeostat_controller.api.schemas import PageOf as Page
from homeostat_controller.store import audit

router = APIRouter(prefix="/audit", tags=["audit"])


@router.get("", response_model=Page[AuditEntry])
def list_audit_entries(core: CoreOf, page: PageOf, actor: str = "", verb: str = "") -> dict[str, Any]:
    """List what was done, the newest first."""
    with core.database.read() as connection:
        found = audit.list_page(connection, audit.AuditFilter(actor=actor, verb=verb), page)
    return views.page(found, views.audit_entry, core.clock())


@router.get("/verification")
def verify_audit(core: CoreOf) -> AuditVerification:
    """Recompute the whole chain of hashes."""
    with core.database.read() as connection:
        found = audit.verify(connection)
    return AuditVerification(entries=found.entries, whole=not found.problem, problem=found.problem)
