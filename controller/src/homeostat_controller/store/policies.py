"""Policies and their revisions: the administrator's text, the compiled bytes and the signed ones.

Invariant: a revision number is given once, rises over all policies, and never changes what it stands for.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, delete, func, insert, select, update

from homeostat_controller.errors import NotFound
from homeostat_controller.store.database import table
from homeostat_controller.store.identifiers import new_id
from homeostat_controller.store.paging import Order, Page, PageRequest, built, page
from homeostat_controller.store.tables import Counter, EndpointPolicy, Policy, PolicyRevision

COUNTER = "policy_revision"
_POLICIES = table(Policy)
_REVISIONS = table(PolicyRevision)
_COUNTERS = table(Counter)
_SAID = table(EndpointPolicy)


@dataclass(frozen=True, slots=True)
class RevisionView:
    """One revision of a policy with its text. status: draft, published, superseded or withdrawn.

    A draft's `revision` is None.
    """

    id: str
    policy: str
    organisation_id: str
    revision: int | None
    status: str
    text: str
    sha256: bytes | None
    author: str
    created_at: datetime
    published_by: str
    published_at: datetime | None


@dataclass(frozen=True, slots=True)
class PolicyView:
    """A policy as the list shows it: what is published, whether a draft lies beside it, and who runs it.

    `revision` is 0 when nothing is published.
    """

    name: str
    organisation_id: str
    revision: int
    published_at: datetime | None
    published_by: str
    has_draft: bool
    endpoints_active: int


@dataclass(frozen=True, slots=True)
class PublishedBytes:
    """A published policy as it is sent. `compiled` is the serialized Policy, `signed` the Signed around it."""

    organisation_id: str
    name: str
    revision: int
    compiled: bytes
    signed: bytes
    sha256: bytes


@dataclass(frozen=True, slots=True)
class Publication:
    """What publishing stores."""

    revision: int
    compiled: bytes
    signed: bytes
    sha256: bytes
    published_by: str


def save_draft(connection: Connection, policy: tuple[str, str], text: str, author: str, now: datetime) -> str:
    """Replace the draft of a policy (organisation id, name), which is made where it is new; return the draft's id."""
    policy_id = _ensure(connection, policy, now)
    _drop_draft(connection, policy_id)
    made = new_id("rev")
    connection.execute(
        insert(_REVISIONS).values(
            id=made, policy_id=policy_id, status="draft", text=text, author=author, created_at=now, published_by=""
        )
    )
    return made


def discard_draft(connection: Connection, policy: tuple[str, str]) -> None:
    """Drop a policy's draft.

    Raises NotFound when there is none.
    """
    if not _drop_draft(connection, _find(connection, policy)):
        raise NotFound(f"the policy {policy[1]!r} has no draft")


def next_revision(connection: Connection) -> int:
    """Take the next revision number. Whoever publishes waits here for the one before, so numbers rise in order."""
    risen = update(_COUNTERS).where(_COUNTERS.c.name == COUNTER).values(value=_COUNTERS.c.value + 1)
    return int(connection.execute(risen.returning(_COUNTERS.c.value)).scalar_one())


def publish(connection: Connection, draft_id: str, published: Publication, now: datetime) -> None:
    """Turn a draft into the published revision of its policy; the one before is superseded."""
    policy_id = connection.execute(select(_REVISIONS.c.policy_id).where(_REVISIONS.c.id == draft_id)).scalar_one()
    _set_published(connection, policy_id, "superseded")
    values = {name: getattr(published, name) for name in Publication.__dataclass_fields__}
    connection.execute(
        update(_REVISIONS).where(_REVISIONS.c.id == draft_id).values(status="published", published_at=now, **values)
    )


def withdraw(connection: Connection, policy: tuple[str, str]) -> int:
    """Offer a policy to nobody any more; return the revision that was published.

    Raises NotFound when none is.
    """
    revision = _set_published(connection, _find(connection, policy), "withdrawn")
    if revision is None:
        raise NotFound(f"the policy {policy[1]!r} is not published")
    return revision


def published(connection: Connection) -> tuple[PublishedBytes, ...]:
    """Return every published policy, by organisation and name."""
    statement = (
        select(
            _POLICIES.c.organisation_id,
            _POLICIES.c.name,
            *(_REVISIONS.c[name] for name in ("revision", "compiled", "signed", "sha256")),
        )
        .join_from(_REVISIONS, _POLICIES, _REVISIONS.c.policy_id == _POLICIES.c.id)
        .where(_REVISIONS.c.status == "published")
        .order_by(_POLICIES.c.organisation_id, _POLICIES.c.name)
    )
    return tuple(map(built(PublishedBytes), connection.execute(statement)))


def list_page(connection: Connection, organisation_id: str, request: PageRequest) -> Page[PolicyView]:
    """Return policies by name, of all organisations where `organisation_id` is ""."""
    live = select(_REVISIONS).where(_REVISIONS.c.status == "published").subquery()
    draft = select(_REVISIONS.c.policy_id).where(_REVISIONS.c.status == "draft").subquery()
    runs = select(_SAID.c.active_name, _SAID.c.active_revision, func.count().label("count"))
    running = runs.group_by(_SAID.c.active_name, _SAID.c.active_revision).subquery()
    statement = (
        select(
            _POLICIES.c.name,
            _POLICIES.c.organisation_id,
            func.coalesce(live.c.revision, 0).label("revision"),
            live.c.published_at,
            func.coalesce(live.c.published_by, "").label("published_by"),
            draft.c.policy_id.is_not(None).label("has_draft"),
            func.coalesce(running.c.count, 0).label("endpoints_active"),
        )
        .outerjoin_from(_POLICIES, live, live.c.policy_id == _POLICIES.c.id)
        .outerjoin(draft, draft.c.policy_id == _POLICIES.c.id)
        .outerjoin(
            running, (running.c.active_name == _POLICIES.c.name) & (running.c.active_revision == live.c.revision)
        )
    )
    if organisation_id:
        statement = statement.where(_POLICIES.c.organisation_id == organisation_id)
    order = Order((_POLICIES.c.name, _POLICIES.c.organisation_id))
    return page(connection, statement, order, request, built(PolicyView))


def revisions(connection: Connection, policy: tuple[str, str], request: PageRequest) -> Page[RevisionView]:
    """Return a policy's revisions and draft, the newest first.

    Raises NotFound for a policy that does not exist.
    """
    statement = _revision_select().where(_REVISIONS.c.policy_id == _find(connection, policy))
    order = Order((_REVISIONS.c.created_at, _REVISIONS.c.id), descending=True)
    return page(connection, statement, order, request, built(RevisionView))


def draft(connection: Connection, policy: tuple[str, str]) -> RevisionView | None:
    """Return a policy's draft, None when it has none; NotFound for a policy that does not exist."""
    return _one(connection, policy, "draft")


def current(connection: Connection, policy: tuple[str, str]) -> RevisionView | None:
    """Return a policy's published revision, None when it has none; NotFound for a policy that does not exist."""
    return _one(connection, policy, "published")


def by_revision(connection: Connection, revision: int) -> RevisionView:
    """Return the revision of this number.

    Raises NotFound.
    """
    row = connection.execute(_revision_select().where(_REVISIONS.c.revision == revision)).one_or_none()
    if row is None:
        raise NotFound(f"there is no policy revision {revision}")
    return built(RevisionView)(row)


def _one(connection: Connection, policy: tuple[str, str], status: str) -> RevisionView | None:
    condition = (_REVISIONS.c.policy_id == _find(connection, policy), _REVISIONS.c.status == status)
    row = connection.execute(_revision_select().where(*condition)).one_or_none()
    return None if row is None else built(RevisionView)(row)


def _find(connection: Connection, policy: tuple[str, str]) -> str:
    organisation_id, name = policy
    condition = (_POLICIES.c.organisation_id == organisation_id, _POLICIES.c.name == name)
    found = connection.execute(select(_POLICIES.c.id).where(*condition)).scalar_one_or_none()
    if found is None:
        raise NotFound(f"there is no policy {name!r}")
    return str(found)


def _ensure(connection: Connection, policy: tuple[str, str], now: datetime) -> str:
    try:
        return _find(connection, policy)
    except NotFound:
        made = new_id("pol")
        values = {"id": made, "organisation_id": policy[0], "name": policy[1], "created_at": now}
        connection.execute(insert(_POLICIES).values(**values))
        return made


def _drop_draft(connection: Connection, policy_id: str) -> bool:
    statement = delete(_REVISIONS).where(_REVISIONS.c.policy_id == policy_id, _REVISIONS.c.status == "draft")
    return connection.execute(statement).rowcount > 0


def _set_published(connection: Connection, policy_id: str, status: str) -> int | None:
    changed = connection.execute(
        update(_REVISIONS)
        .where(_REVISIONS.c.policy_id == policy_id, _REVISIONS.c.status == "published")
        .values(status=status)
        .returning(_REVISIONS.c.revision)
    ).scalar_one_or_none()
    return None if changed is None else int(changed)


def _revision_select() -> Select[Any]:
    own = [name for name in RevisionView.__dataclass_fields__ if name not in ("policy", "organisation_id")]
    return select(
        *(_REVISIONS.c[name] for name in own), _POLICIES.c.name.label("policy"), _POLICIES.c.organisation_id
    ).join_from(_REVISIONS, _POLICIES, _REVISIONS.c.policy_id == _POLICIES.c.id)
