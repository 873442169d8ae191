"""Policies: checked, published, and what became of them on each endpoint."""

from typing import Annotated, Any

from fastapi import APIRouter, Body
from sqlalchemy import Connection

from homeostat_controller.api import policy_views
from homeostat_controller.api.admin_schemas import Check, EndpointPolicy, Policies, PolicyDetail, Published
from homeostat_controller.api.dependencies import CoreOf, IdentityOf, PageOf
from homeostat_controller.api.problems import Refused, Trouble
from homeostat_controller.api.requests import Document
from homeostat_controller.api.schemas import PageOf as Page
from homeostat_controller.core import Core
from homeostat_controller.errors import NotFound
from homeostat_controller.policies.editing import PolicyRefused
from homeostat_controller.store import policies
from homeostat_controller.store.organisations import DEFAULT
from homeostat_controller.store.paging import PageRequest

router = APIRouter(prefix="/policies", tags=["policies"])


@router.get("")
def list_policies(core: CoreOf, page: PageOf) -> Policies:
    """List policies by name."""
    with core.database.read() as connection:
        found = policies.list_page(connection, DEFAULT, page)
    return policy_views.policies(found, core.clock(), lab_keys=is_lab(core))


@router.post("/check")
def check_policy(core: CoreOf, document: Annotated[Document, Body()]) -> Check:
    """Check a document and find every mistake; nothing is kept."""
    mistakes = policy_views.mistakes(core.editing.check(document.text).problems)
    return Check(valid=not mistakes, mistakes=mistakes)


@router.post("", status_code=201)
def publish_policy(core: CoreOf, identity: IdentityOf, document: Annotated[Document, Body()]) -> Published:
    """Sign a document and offer it to every endpoint that it selects. With a mistake in it nothing changes."""
    try:
        made = core.editing.publish_text(DEFAULT, document.text, identity.name)
    except PolicyRefused as error:
        raise Refused(_refusal(document.file, error)) from None
    with core.database.read() as connection:
        selected = policy_views.selected(connection, made.key.name, PageRequest(limit=1)).total
    return Published(
        name=made.key.name,
        revision=made.revision,
        sha256=made.sha256.hex(),
        endpoints=selected,
        lab_keys=is_lab(core),
    )


@router.get("/{policy}")
def get_policy(core: CoreOf, policy: str) -> PolicyDetail:
    """Get the published revision of a policy, with its text."""
    with core.database.read() as connection:
        return read_policy(core, connection, policy)


@router.get("/{policy}/status", response_model=Page[EndpointPolicy])
def get_policy_status(core: CoreOf, policy: str, page: PageOf) -> dict[str, Any]:
    """List the endpoints that a policy selects: offered, active, last good, rejected and why."""
    with core.database.read() as connection:
        return policy_views.statuses(connection, policy, page, core.clock())


def read_policy(core: Core, connection: Connection, policy: str) -> PolicyDetail:
    """Return the published revision of a policy.

    Raises NotFound.
    """
    current = policies.current(connection, (DEFAULT, policy))
    if current is None:
        raise NotFound(f"the policy {policy!r} is not published")
    counts = policy_views.active_on(connection, policy)
    return policy_views.policy_detail(current, counts, lab_keys=is_lab(core))


def is_lab(core: Core) -> bool:
    """Say whether content is signed by a lab key that lies on the controller."""
    return core.signer.trusted_keys().lab


def _refusal(file: str, error: PolicyRefused) -> Trouble:
    errors = [
        {"where": f"{file}:{one.line}:{one.column}", "sentence": one.sentence, "path": one.path}
        for one in policy_views.mistakes(error.problems)
    ]
    return Trouble(
        "policy-refused", 422, "The policy was not published.", "Nothing changed anywhere.", "Correct it.", errors
    )
