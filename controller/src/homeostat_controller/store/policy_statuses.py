"""What several endpoints say of their policies, read at once."""

from collections.abc import Mapping, Sequence
from dataclasses import fields

from sqlalchemy import Connection, select

from homeostat_controller.store.database import table
from homeostat_controller.store.endpoints import PolicyStatusView
from homeostat_controller.store.tables import EndpointPolicy

_POLICIES = table(EndpointPolicy)


def of(connection: Connection, endpoint_ids: Sequence[str]) -> Mapping[str, PolicyStatusView]:
    """Return what these endpoints say; one that never said anything is left out."""
    names = [one.name for one in fields(PolicyStatusView)]
    statement = select(_POLICIES.c.endpoint_id, *(_POLICIES.c[name] for name in names)).where(
        _POLICIES.c.endpoint_id.in_(endpoint_ids)
    )
    return {
        row.endpoint_id: PolicyStatusView(**{name: getattr(row, name) for name in names})
        for row in connection.execute(statement)
    }
