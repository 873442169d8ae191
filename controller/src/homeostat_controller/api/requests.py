"""What a client may ask of the API, with every bound.

Invariant: an unknown field is an error; nothing is silently ignored.
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

REASON_CHARACTERS_MAX = 500
DOCUMENT_CHARACTERS_MAX = 256 << 10
LABELS_MAX = 32
TOKEN_MINUTES_MAX = 43_200

Reason = Annotated[str, Field(min_length=1, max_length=REASON_CHARACTERS_MAX, pattern=r"\S", examples=["Checked."])]
Label = Annotated[str, Field(min_length=1, max_length=63)]


class Asked(BaseModel):
    """What a client asks for; a field that does not exist is an error, not ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Target(Asked):
    """What an approval holds for: one plan on one endpoint, by digests of the plan and of the facts it rests on."""

    endpoint_id: str = Field(max_length=200)
    incident_id: str = Field(max_length=200)
    plan_digest: str = Field(max_length=64)
    state_digest: str = Field(max_length=64)


class Approve(Asked):
    """A yes. `expected` is the target as it was shown; another one is refused."""

    reason: Reason
    expected: Target


class Deny(Asked):
    """A no."""

    reason: Reason


class Document(Asked):
    """A policy as an administrator writes it, in YAML."""

    text: str = Field(max_length=DOCUMENT_CHARACTERS_MAX, examples=["name: web-tier\nrules: []\n"])
    file: str = Field(default="policy.yaml", max_length=255, description="What to call it in errors.")


class TokenAsked(Asked):
    """A new enrolment token: where the endpoint will belong and which labels it gets."""

    group: str = Field(default="", max_length=200, examples=["default/default/default"])
    labels: dict[Label, Label] = Field(default={}, max_length=LABELS_MAX)
    minutes: int = Field(default=60, ge=1, le=TOKEN_MINUTES_MAX)
    note: str = Field(default="", max_length=200)


class Welcome(Asked):
    """A welcome link's secret."""

    secret: str = Field(max_length=200)
