"""What the inbox does with records inside a transaction: judge, store, derive, and note what looks wrong.

Invariant: records and the rows derived from them are stored together or not at all.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection

from homeostat.wire.v1 import link_pb2
from homeostat_controller.agents import chain
from homeostat_controller.errors import ControllerError
from homeostat_controller.metrics import Metrics
from homeostat_controller.store import audit, derived, events
from homeostat_controller.store.events import ChainEnd

# The same complaint about one endpoint is audited once in this time: a hostile agent must not fill the log.
AUDIT_EVERY = timedelta(minutes=10)
AUDITED_MAX = 10_000

Verdict = chain.Accepted | chain.Gap | chain.Broken


class ChainBroken(ControllerError):  # noqa: N818  # a property of the records
    """The records do not continue the endpoint's chain."""


class Ingest:
    """Stores requests; owned by the inbox's thread."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._audited: OrderedDict[tuple[str, str], datetime] = OrderedDict()

    def store(
        self, connection: Connection, requests: Sequence[link_pb2.PushEventsRequest], now: datetime
    ) -> list[int | ChainBroken]:
        """Judge every request by the state that those before it leave, then store all that is new at once.

        Returns for each the number of the next record expected, or why its records were refused.
        """
        if not requests:
            return []
        ends = events.ends(connection, [one.instance_uid for one in requests])
        moved: dict[str, ChainEnd] = {}
        rows: list[events.LogRow] = []
        results: list[int | ChainBroken] = []
        for request in requests:
            verdict = _judge(connection, request, {**ends, **moved}, rows)
            self._note(connection, request, verdict, now)
            if isinstance(verdict, chain.Broken):
                results.append(ChainBroken(verdict.reason))
                continue
            results.append(verdict.end.next_sequence)
            if isinstance(verdict, chain.Accepted) and verdict.rows:
                moved[request.instance_uid] = verdict.end
                rows += verdict.rows
        events.append(connection, rows, moved, now)
        _derive(connection, rows, now)
        return results

    def _note(
        self, connection: Connection, request: link_pb2.PushEventsRequest, verdict: Verdict, now: datetime
    ) -> None:
        """Count, and audit what says that a chain is not what it was."""
        said = None
        match verdict:
            case chain.Accepted():
                self._metrics.events_stored.inc(len(verdict.rows))
                self._metrics.events_repeated.inc(verdict.repeated)
                said = ("restart-chain", f"from record {verdict.rows[0].sequence}") if verdict.restarted else None
            case chain.Gap():
                came = request.records[0].sequence
                said = ("miss-records", f"{came} came where {verdict.end.next_sequence} was expected")
            case chain.Broken():
                said = ("refuse-records", verdict.reason)
        if said is not None and self._is_due(request.instance_uid, said[0], now):
            act = audit.Act("inbox", said[0], "endpoint", request.instance_uid, {"reason": said[1]})
            audit.append(connection, act, now)

    def _is_due(self, endpoint_id: str, verb: str, now: datetime) -> bool:
        key = (endpoint_id, verb)
        if key in self._audited and now - self._audited[key] < AUDIT_EVERY:
            return False
        self._audited[key] = now
        self._audited.move_to_end(key)
        if len(self._audited) > AUDITED_MAX:
            self._audited.popitem(last=False)
        return True


def _judge(
    connection: Connection,
    request: link_pb2.PushEventsRequest,
    ends: Mapping[str, ChainEnd],
    unwritten: list[events.LogRow],
) -> Verdict:
    endpoint_id = request.instance_uid
    end = ends.get(endpoint_id)
    if end is None:
        return chain.Broken("this endpoint is not known here; enrol it again")

    def stored(sequences: Iterable[int]) -> dict[int, bytes]:
        fresh = {row.sequence: row.hash for row in unwritten if row.endpoint_id == endpoint_id}
        return {**events.hashes(connection, endpoint_id, sequences), **fresh}

    return chain.judge(request, end, stored)


def _derive(connection: Connection, rows: list[events.LogRow], now: datetime) -> None:
    gathered = derived.Derived()
    for row in rows:
        gathered.add(derived.Origin(row.endpoint_id, row.sequence, now), row.body)
    derived.write(connection, gathered)
