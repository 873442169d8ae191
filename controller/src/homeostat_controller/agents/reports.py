"""From agents' messages to the rows that say how endpoints are; the latest of each kind waits, one per endpoint.

Owned by the event loop. Invariant: an endpoint's place labels come from the controller, whatever the agent says.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from homeostat.wire.v1 import link_pb2
from homeostat_controller.agents import cleaning
from homeostat_controller.store.approvals import ReceiptRow
from homeostat_controller.store.session_states import (
    Admission,
    HelloRow,
    PolicyRow,
    Report,
    StateRow,
    TelemetryRow,
)

RECEIPTS_MAX = 256
# A 64-bit unsigned number of the wire, in a signed column.
_BIG_MAX = 2**63 - 1


class Reports:
    """The reports that wait to be written."""

    def __init__(self) -> None:
        self._waiting: dict[str, Report] = {}

    def seen(self, endpoint_id: str, now: datetime, *, connected: bool, shown: int = 0) -> None:
        """Note that an endpoint was heard of, and the number of the session token it showed."""
        waiting = self._waiting.get(endpoint_id, Report(endpoint_id, now))
        number = max(waiting.session_shown, shown)
        self._waiting[endpoint_id] = replace(waiting, seen_at=now, connected=connected, session_shown=number)

    def note(
        self,
        endpoint_id: str,
        now: datetime,
        row: HelloRow | StateRow | PolicyRow | TelemetryRow,
    ) -> None:
        """Put a row in place of what waits of its kind."""
        waiting = self._waiting.get(endpoint_id, Report(endpoint_id, now))
        match row:
            case HelloRow():
                waiting = replace(waiting, hello=row)
            case StateRow():
                waiting = replace(waiting, state=row)
            case PolicyRow():
                waiting = replace(waiting, policy=row)
            case TelemetryRow():
                waiting = replace(waiting, telemetry=row)
        self._waiting[endpoint_id] = waiting

    def shown(self, endpoint_id: str) -> int:
        """Return the newest session token number that waits to be written for an endpoint."""
        waiting = self._waiting.get(endpoint_id)
        return waiting.session_shown if waiting else 0

    def give_back(self, reports: list[Report]) -> None:
        """Let reports that could not be written wait again, under what is newer."""
        for old in reports:
            new = self._waiting.get(old.endpoint_id)
            self._waiting[old.endpoint_id] = old if new is None else _over(old, new)

    def take(self) -> list[Report]:
        """Return what waits; it waits no more."""
        taken, self._waiting = self._waiting, {}
        return list(taken.values())


def _over(old: Report, new: Report) -> Report:
    return replace(
        new,
        connected=old.connected if new.connected is None else new.connected,
        session_shown=max(old.session_shown, new.session_shown),
        hello=new.hello or old.hello,
        state=new.state or old.state,
        policy=new.policy or old.policy,
        telemetry=new.telemetry or old.telemetry,
    )


def place_labels(admission: Admission) -> dict[str, str]:
    """Return the labels that say where an endpoint belongs."""
    return {"organisation": admission.organisation, "site": admission.site, "group": admission.group}


def hello_row(said: link_pb2.Hello, labels: Mapping[str, str], admission: Admission) -> HelloRow:
    """Return what a hello says; the labels only where they differ from the stored ones."""
    return HelloRow(
        agent_version=cleaning.name(said.agent_version),
        semantics=min(said.semantics, 2**31 - 1),
        feature_set=min(said.feature_set, 2**31 - 1),
        model=cleaning.text(said.model)[: cleaning.NAME_CHARACTERS_MAX],
        boot_id=cleaning.text(said.boot_id)[: cleaning.NAME_CHARACTERS_MAX],
        facts=cleaning.document(said.facts),
        labels=None if dict(labels) == dict(admission.labels) else labels,
    )


def state_row(said: link_pb2.EndpointState, now: datetime) -> StateRow:
    """Return what a state says."""
    return StateRow(
        health=cleaning.text(said.health)[:32] or "unknown",
        detail=cleaning.text(said.detail),
        state=cleaning.document(said),
        state_at=_time(said.at, now) if said.HasField("at") else now,
    )


def policy_row(said: link_pb2.PolicyStatus, now: datetime) -> PolicyRow:
    """Return what a policy status says."""
    rejected = said.rejected
    return PolicyRow(
        offered_name=cleaning.text(said.offered.name)[:255],
        offered_revision=min(said.offered.revision, _BIG_MAX),
        offered_sha256=said.offered.sha256[:32],
        active_name=cleaning.text(said.active.name)[:255],
        active_revision=min(said.active.revision, _BIG_MAX),
        active_sha256=said.active.sha256[:32],
        last_good_name=cleaning.text(said.last_good.name)[:255],
        last_good_revision=min(said.last_good.revision, _BIG_MAX),
        last_good_sha256=said.last_good.sha256[:32],
        rejected_name=cleaning.text(rejected.policy.name)[:255],
        rejected_revision=min(rejected.policy.revision, _BIG_MAX),
        rejected_sha256=rejected.policy.sha256[:32],
        rejected_reason=cleaning.text(rejected.reason),
        rejected_at=_time(rejected.at, now) if said.HasField("rejected") else None,
    )


def telemetry_row(request: link_pb2.PushEventsRequest, now: datetime) -> TelemetryRow | None:
    """Return the newest telemetry of a request, None when it has none."""
    if not request.telemetry:
        return None
    newest = request.telemetry[-1]
    kept = list(newest.values.items())[: cleaning.ITEMS_MAX]
    values = {cleaning.text(name)[:255]: cleaning.number(value) for name, value in kept}
    return TelemetryRow(_time(newest.at, now), values, min(request.telemetry_dropped, _BIG_MAX))


def receipt_rows(endpoint_id: str, said: link_pb2.AgentMessage) -> list[ReceiptRow]:
    """Return the receipts of a message, at most RECEIPTS_MAX."""
    return [
        ReceiptRow(endpoint_id, one.id[:255].replace("\0", ""), one.result[:32], cleaning.text(one.reason))
        for one in said.receipts[:RECEIPTS_MAX]
    ]


def _time(said: Timestamp, now: datetime) -> datetime:
    try:
        return said.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        return now
