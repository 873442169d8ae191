"""Which endpoints are kept out, held in memory because every call asks, and in the store because it must last.

Invariant: once a change of standing is committed, no later call of that endpoint is served, and its sessions are cut.
"""

import threading
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Connection

from homeostat_controller.clock import Clock
from homeostat_controller.errors import Conflict
from homeostat_controller.store import audit, endpoint_changes, endpoints, session_states
from homeostat_controller.store.database import Database

BARRED = "barred"
READMITTED = "readmitted"


class Standings:
    """The endpoints that are frozen or revoked. Thread-safe.

    `changed` is called after each commit with the id and BARRED or READMITTED.
    """

    def __init__(self, database: Database, clock: Clock, changed: Callable[[str, str], None]) -> None:
        self._database = database
        self._clock = clock
        self._changed = changed
        self._lock = threading.Lock()
        with database.read() as connection:
            self._barred = session_states.barred(connection)

    def is_barred(self, endpoint_id: str) -> bool:
        """Say whether an endpoint is kept out."""
        return endpoint_id in self._barred

    def revoke(self, name: str, actor: str, reason: str) -> None:
        """Keep an endpoint out for good: it has to enrol again with a new key.

        Raises NotFound, and Conflict where it is revoked already.
        """
        self._set(name, "revoked", audit.Act(actor, "revoke", "endpoint", "", {"reason": reason}))

    def freeze(self, name: str, actor: str, reason: str) -> None:
        """Keep an endpoint out until a person readmits it.

        Raises NotFound, and Conflict where it is not active.
        """
        self._set(name, "frozen", audit.Act(actor, "freeze", "endpoint", "", {"reason": reason}))

    def readmit(self, name: str, actor: str, reason: str) -> None:
        """Let a frozen endpoint in again, or one whose session tokens no longer fit, whichever of two clones it is.

        Raises NotFound, and Conflict where it is revoked.
        """
        self._set(name, "active", audit.Act(actor, "readmit", "endpoint", "", {"reason": reason}))

    def freeze_in(self, connection: Connection, endpoint_id: str, act: audit.Act) -> None:
        """Freeze within a transaction of the caller, who calls `reload` after it."""
        endpoint_changes.set_standing(connection, endpoint_id, "frozen", str(act.detail.get("reason", "")))
        audit.append(connection, act, self._clock())

    def reload(self, endpoint_id: str) -> None:
        """Take over what was committed about an endpoint, and tell whoever has to act on it."""
        with self._lock, self._database.read() as connection:
            self._barred = session_states.barred(connection)
        self._changed(endpoint_id, BARRED if self.is_barred(endpoint_id) else READMITTED)

    def _set(self, name: str, standing: str, act: audit.Act) -> None:
        with self._database.write() as connection:
            view = endpoints.get(connection, name).view
            if view.standing == "revoked" or (standing == "frozen" and view.standing == "frozen"):
                raise Conflict(f"the endpoint {view.name} is {view.standing} already")
            endpoint_changes.set_standing(connection, view.id, standing, _reason(standing, act.detail))
            if standing == "active":
                endpoint_changes.forget_session(connection, view.id)
            place = {"object_id": view.id, "organisation_id": view.organisation_id}
            detail = {**act.detail, "name": view.name}
            audit.append(connection, audit.Act(act.actor, act.verb, "endpoint", detail=detail, **place), self._clock())
        self.reload(view.id)


def _reason(standing: str, detail: Mapping[str, Any]) -> str:
    return "" if standing == "active" else str(detail.get("reason", ""))
