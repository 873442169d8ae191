import pytest

from homeostat_controller.api import admin_schemas as admin
from homeostat_controller.api.schemas import Said

PROMISED = {
    admin.Check: {"valid", "mistakes"},
    admin.Mistake: {"line", "column", "path", "sentence"},
    admin.Policy: {"name", "revision", "published_at", "endpoints_active"},
    admin.Policies: {"items", "total", "next", "lab_keys"},
    admin.PolicyDetail: {"text", "sha256", "author", "lab_keys"},
    admin.Published: {"name", "revision", "sha256", "endpoints", "lab_keys"},
    admin.EndpointPolicy: {"endpoint_id", "endpoint", "state", "status"},
    admin.AuditEntry: {"sequence", "at", "actor", "verb", "object_kind", "object_id", "detail", "hash"},
    admin.AuditVerification: {"entries", "whole", "problem"},
    admin.WelcomeLink: {"url", "expires_at"},
    admin.Problem: {"type", "title", "status", "detail", "next", "errors"},
}


@pytest.mark.parametrize("kind", PROMISED)
def test_promised_fields_are_there(kind: type[Said]) -> None:
    assert PROMISED[kind] <= set(kind.model_fields)


def test_only_one_answer_holds_a_tokens_text() -> None:
    assert "token" not in admin.EnrolmentToken.model_fields
    assert "token" in admin.NewEnrolmentToken.model_fields
