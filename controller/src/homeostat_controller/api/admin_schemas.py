"""What the API says of administration: policies, enrolment, audit, sessions, and problems.

The invariant is that of `schemas`: fields are added, never renamed or given another meaning.
"""

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from homeostat_controller.api.schemas import PageOf, PolicyStatus, Said


class Mistake(Said):
    """One mistake in a document. Lines and columns count from 1."""

    line: int
    column: int
    path: str
    sentence: str


class Check(Said):
    """Whether a policy can be published, and every reason why not."""

    valid: bool
    mistakes: list[Mistake]


class Policy(Said):
    """One line of the list of policies; `revision` 0 means that nothing is published."""

    name: str
    organisation: str
    revision: int
    published_by: str
    published_at: datetime | None
    endpoints_active: int
    has_draft: bool


class Policies(PageOf[Policy]):
    """Policies, and whether they are signed with lab keys that lie on the controller."""

    lab_keys: bool


class PolicyDetail(Policy):
    """The published revision with its text."""

    text: str
    sha256: str
    author: str
    lab_keys: bool


class Published(Said):
    """What a publication became."""

    name: str
    revision: int
    sha256: str
    endpoints: int
    lab_keys: bool


class EndpointPolicy(Said):
    """What became of one policy on one endpoint. state: active, offered, rejected, pending or outranked."""

    endpoint_id: str
    endpoint: str
    state: str
    status: PolicyStatus


class EnrolmentToken(Said):
    """A token without its text. status: open, redeemed, revoked, expired or frozen."""

    id: str
    group: str
    labels: dict[str, str]
    note: str
    status: str
    created_by: str
    created_at: datetime
    expires_at: datetime
    endpoint_id: str


class NewEnrolmentToken(EnrolmentToken):
    """The one answer that holds the token's text."""

    token: str


class AuditEntry(Said):
    """Who did what to what. Each entry's hash covers the one before it."""

    sequence: int
    at: datetime
    actor: str
    verb: str
    object_kind: str
    object_id: str
    detail: dict[str, Any]
    hash: str


class AuditVerification(Said):
    """How many entries were recomputed, and the first problem found."""

    entries: int
    whole: bool
    problem: str


class Session(Said):
    """Who is asking."""

    name: str
    scope: str
    via: Literal["token", "session"]


class WelcomeLink(Said):
    """A link that signs one browser in, once. The secret stands behind `#`, which browsers do not send."""

    url: str
    expires_at: datetime


class Health(Said):
    """Whether the controller runs, or can serve."""

    status: str


class Problem(Said):
    """What went wrong (`title`), why (`detail`) and what to do next (`next`), after RFC 9457."""

    type: str = Field(examples=["urn:homeostat:problem:not-found"])
    title: str
    status: int
    detail: str
    next: str = ""
    errors: list[dict[str, Any]] = Field(default=[])
