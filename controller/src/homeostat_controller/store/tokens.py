"""Enrolment tokens and API tokens. Of a secret only its SHA-256 is kept: the secrets are 256 random bits.

Invariant: `redeem` changes one open token to redeemed for exactly one caller, however many try at once.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, and_, case, insert, or_, select, update

from homeostat_controller.errors import NotFound
from homeostat_controller.store.database import table
from homeostat_controller.store.paging import Order, Page, PageRequest, built, page
from homeostat_controller.store.tables import ApiToken, EnrolmentToken

_TOKENS = table(EnrolmentToken)
_API = table(ApiToken)


@dataclass(frozen=True, slots=True)
class TokenView:
    """An enrolment token without its secret. status: open, expired, redeemed, revoked or frozen."""

    id: str
    group_id: str
    labels: Mapping[str, str]
    note: str
    status: str
    created_by: str
    created_at: datetime
    expires_at: datetime
    redeemed_at: datetime | None
    public_key: str | None
    nonce_hash: str | None
    endpoint_id: str | None


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token to be stored; `secret` is hashed on the way in."""

    id: str
    secret: bytes
    group_id: str
    labels: Mapping[str, str]
    note: str
    created_by: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Redemption:
    """Who redeems: the hash of the public key (hex) and of the nonce, and the endpoint that comes of it."""

    public_key: str
    nonce_hash: str
    endpoint_id: str


@dataclass(frozen=True, slots=True)
class ApiTokenView:
    """An API token without its secret."""

    id: str
    name: str
    scope: str
    organisation_id: str
    created_by: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class NewApiToken:
    """An API token to be stored; `secret` is hashed on the way in."""

    id: str
    name: str
    secret: str
    scope: str
    created_by: str
    organisation_id: str = ""
    expires_at: datetime | None = None


def hashed(secret: bytes) -> str:
    """Return what is kept of a secret."""
    return hashlib.sha256(secret).hexdigest()


def add(connection: Connection, new: NewToken, now: datetime) -> None:
    """Store a new, open enrolment token."""
    values = {name: getattr(new, name) for name in ("id", "group_id", "note", "created_by", "expires_at")}
    connection.execute(
        insert(_TOKENS).values(
            **values, secret_hash=hashed(new.secret), labels=dict(new.labels), status="open", created_at=now
        )
    )


def list_page(connection: Connection, status: str, request: PageRequest, now: datetime) -> Page[TokenView]:
    """Return enrolment tokens, the newest first; `status` "" means all."""
    statement = _view_select(now)
    expired = _TOKENS.c.expires_at <= now
    if status == "expired":
        statement = statement.where(_TOKENS.c.status == "open", expired)
    elif status == "open":
        statement = statement.where(_TOKENS.c.status == "open", ~expired)
    elif status:
        statement = statement.where(_TOKENS.c.status == status)
    order = Order((_TOKENS.c.created_at, _TOKENS.c.id), descending=True)
    return page(connection, statement, order, request, built(TokenView))


def get(connection: Connection, token_id: str, now: datetime) -> TokenView:
    """Return one enrolment token.

    Raises NotFound.
    """
    row = connection.execute(_view_select(now).where(_TOKENS.c.id == token_id)).one_or_none()
    if row is None:
        raise NotFound(f"there is no enrolment token {token_id!r}")
    return built(TokenView)(row)


def by_secret(connection: Connection, secret: bytes, now: datetime) -> TokenView | None:
    """Return the enrolment token of this secret, whatever its status, and let other redeemers of it wait their turn."""
    statement = _view_select(now).where(_TOKENS.c.secret_hash == hashed(secret)).with_for_update()
    row = connection.execute(statement).one_or_none()
    return None if row is None else built(TokenView)(row)


def redeem(connection: Connection, token_id: str, redemption: Redemption, now: datetime) -> bool:
    """Turn an open, unexpired token into a redeemed one; say whether it was this call that did."""
    changed = connection.execute(
        update(_TOKENS)
        .where(_TOKENS.c.id == token_id, _TOKENS.c.status == "open", _TOKENS.c.expires_at > now)
        .values(
            status="redeemed",
            redeemed_at=now,
            public_key=redemption.public_key,
            nonce_hash=redemption.nonce_hash,
            endpoint_id=redemption.endpoint_id,
        )
    )
    return changed.rowcount == 1


def set_status(connection: Connection, token_id: str, old: str, new: str) -> bool:
    """Change a token's status from `old` to `new`; say whether it had the old one."""
    statement = update(_TOKENS).where(_TOKENS.c.id == token_id, _TOKENS.c.status == old).values(status=new)
    return connection.execute(statement).rowcount == 1


def add_api_token(connection: Connection, new: NewApiToken, now: datetime) -> None:
    """Store a new API token."""
    names = ("id", "name", "scope", "created_by", "organisation_id", "expires_at")
    values = {name: getattr(new, name) for name in names}
    secret_hash = hashed(new.secret.encode())
    connection.execute(insert(_API).values(**values, secret_hash=secret_hash, created_at=now))


def api_tokens(connection: Connection, request: PageRequest) -> Page[ApiTokenView]:
    """Return API tokens, the newest first."""
    order = Order((_API.c.created_at, _API.c.id), descending=True)
    return page(connection, _api_select(), order, request, built(ApiTokenView))


def live_api_token(connection: Connection, secret: str, now: datetime) -> ApiTokenView | None:
    """Return the API token of this secret if it is neither revoked nor expired."""
    row = connection.execute(
        _api_select().where(
            _API.c.secret_hash == hashed(secret.encode()),
            _API.c.revoked_at.is_(None),
            or_(_API.c.expires_at.is_(None), _API.c.expires_at > now),
        )
    ).one_or_none()
    return None if row is None else built(ApiTokenView)(row)


def revoke_api_token(connection: Connection, token_id: str, now: datetime) -> None:
    """End an API token.

    Raises NotFound when there is no live one of this id.
    """
    statement = update(_API).where(_API.c.id == token_id, _API.c.revoked_at.is_(None)).values(revoked_at=now)
    if connection.execute(statement).rowcount == 0:
        raise NotFound(f"there is no live API token {token_id!r}")


def touch_api_token(connection: Connection, token_id: str, now: datetime) -> None:
    """Record that an API token was used."""
    connection.execute(update(_API).where(_API.c.id == token_id).values(last_used_at=now))


def _view_select(now: datetime) -> Select[Any]:
    names = [name for name in TokenView.__dataclass_fields__ if name != "status"]
    over = and_(_TOKENS.c.status == "open", _TOKENS.c.expires_at <= now)
    status = case((over, "expired"), else_=_TOKENS.c.status).label("status")
    return select(*(_TOKENS.c[name] for name in names), status)


def _api_select() -> Select[Any]:
    return select(*(_API.c[name] for name in ApiTokenView.__dataclass_fields__))
