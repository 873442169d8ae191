"""What the API says stays what it was: names that clients rely on."""

import pytest
from pydantic import ValidationError

from homeostat_controller.api import schemas

# Fields may be added here when they are added there; a field that vanishes breaks someone.
PROMISED = {
    schemas.PageOf: {"items", "total", "next", "as_of"},
    schemas.Endpoint: {"id", "name", "site", "group", "labels", "status", "detail", "policy", "last_seen_at"},
    schemas.EndpointDetail: {"services", "policy_status", "metrics", "certificate_not_after"},
    schemas.PolicyStatus: {"offered", "active", "last_good", "rejected", "rejected_reason", "rejected_at"},
    schemas.Incident: {"id", "endpoint", "fault", "subject", "confidence", "status", "opened_at", "closed_at"},
    schemas.IncidentDetail: {"evidence", "reason", "outcome", "steps", "approval_id"},
    schemas.Step: {"step", "state", "at", "sentence", "details", "approval_id"},
    schemas.Approval: {"id", "endpoint", "incident_id", "playbook", "risk", "status", "expires_at"},
    schemas.ApprovalDetail: {"why_asked", "plan", "undo", "target", "evidence", "run_ending", "receipt"},
    schemas.Plan: {"forward", "backward", "expected_effect", "findings"},
}


@pytest.mark.parametrize("kind", PROMISED)
def test_promised_fields_are_there(kind: type[schemas.Said]) -> None:
    assert PROMISED[kind] <= set(kind.model_fields)


def test_what_is_said_is_not_changed() -> None:
    said = schemas.PolicyReference(name="web", revision=1)
    with pytest.raises(ValidationError):
        said.revision = 2


def test_steps_have_known_names() -> None:
    with pytest.raises(ValidationError):
        schemas.Step.model_validate({"step": "thought", "state": "done", "at": None, "sentence": ""})
