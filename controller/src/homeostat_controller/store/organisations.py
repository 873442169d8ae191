"""Organisation → site → group: where endpoints live and, later, what administrators are delegated.

A first organisation, site and group named "default" always exist, so that one person needs no set-up.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, insert, select
from sqlalchemy.exc import IntegrityError

from homeostat_controller.errors import Conflict, Invalid, NotFound
from homeostat_controller.store import audit, database
from homeostat_controller.store.identifiers import NAME, new_id
from homeostat_controller.store.paging import built
from homeostat_controller.store.tables import Counter, EndpointGroup, Organisation, Site

DEFAULT = "default"
_ORGANISATIONS = database.table(Organisation)
_SITES = database.table(Site)
_GROUPS = database.table(EndpointGroup)


@dataclass(frozen=True, slots=True)
class GroupView:
    """A group with its place. `path` is organisation/site/group by name."""

    id: str
    name: str
    site_id: str
    site: str
    organisation_id: str
    organisation: str

    @property
    def path(self) -> str:
        """The group as people write it."""
        return f"{self.organisation}/{self.site}/{self.name}"


def seed(connection: Connection, now: datetime) -> None:
    """Make what must always exist: the default organisation, site and group, and the counters."""
    rows: tuple[tuple[Any, dict[str, Any]], ...] = (
        (_ORGANISATIONS, {"id": DEFAULT, "name": DEFAULT, "created_at": now}),
        (_SITES, {"id": DEFAULT, "organisation_id": DEFAULT, "name": DEFAULT, "created_at": now}),
        (_GROUPS, {"id": DEFAULT, "site_id": DEFAULT, "name": DEFAULT, "created_at": now}),
        (database.table(Counter), {"name": "policy_revision", "value": 0}),
        (database.table(Counter), {"name": audit.COUNTER, "value": 0}),
    )
    for into, values in rows:
        connection.execute(database.insert(connection, into).values(**values).on_conflict_do_nothing())


def groups(connection: Connection, organisation_id: str = "") -> tuple[GroupView, ...]:
    """Return all groups, or one organisation's, by path."""
    statement = _group_select()
    if organisation_id:
        statement = statement.where(_ORGANISATIONS.c.id == organisation_id)
    ordered = statement.order_by(_ORGANISATIONS.c.name, _SITES.c.name, _GROUPS.c.name)
    return tuple(map(built(GroupView), connection.execute(ordered)))


def group(connection: Connection, name: str) -> GroupView:
    """Return the group with this id or path (organisation/site/group).

    Raises NotFound.
    """
    condition: ColumnElement[bool] = _GROUPS.c.id == name
    if name.count("/") == 2:
        organisation, site, leaf = name.split("/")
        condition = and_(_ORGANISATIONS.c.name == organisation, _SITES.c.name == site, _GROUPS.c.name == leaf)
    row = connection.execute(_group_select().where(condition)).one_or_none()
    if row is None:
        raise NotFound(f"there is no group {name!r}; write organisation/site/group")
    return built(GroupView)(row)


def add_group(connection: Connection, path: str, now: datetime) -> GroupView:
    """Make a group by its path organisation/site/group, and the organisation and site where they are missing.

    Raises Invalid for names that are none and Conflict when the group is there.
    """
    parts = path.split("/")
    if len(parts) != 3 or not all(NAME.fullmatch(part) for part in parts):
        raise Invalid("a group is written organisation/site/group, in lower-case letters, digits, '.', '_' and '-'")
    organisation_id = _ensure(connection, _ORGANISATIONS, {"name": parts[0]}, now)
    site_id = _ensure(connection, _SITES, {"organisation_id": organisation_id, "name": parts[1]}, now)
    group_id = new_id("grp")
    try:
        connection.execute(insert(_GROUPS).values(id=group_id, site_id=site_id, name=parts[2], created_at=now))
    except IntegrityError:
        raise Conflict(f"the group {path} is there already") from None
    return group(connection, group_id)


def _ensure(connection: Connection, where: Any, values: dict[str, str], now: datetime) -> str:
    condition = [where.c[name] == value for name, value in values.items()]
    found = connection.execute(select(where.c.id).where(*condition)).scalar_one_or_none()
    if found is not None:
        return str(found)
    made = new_id(str(where.name)[:3])
    connection.execute(insert(where).values(id=made, created_at=now, **values))
    return made


def _group_select() -> Select[Any]:
    return (
        select(
            _GROUPS.c.id,
            _GROUPS.c.name,
            _SITES.c.id.label("site_id"),
            _SITES.c.name.label("site"),
            _ORGANISATIONS.c.id.label("organisation_id"),
            _ORGANISATIONS.c.name.label("organisation"),
        )
        .join_from(_GROUPS, _SITES, _GROUPS.c.site_id == _SITES.c.id)
        .join(_ORGANISATIONS, _SITES.c.organisation_id == _ORGANISATIONS.c.id)
    )
