"""The spool's way to the controller: the oldest records first, in batches, until each is acknowledged.

A record leaves the spool only on the controller's word that it has it for good, so a call that is torn off, repeated
or answered late costs nothing but a repeat, which the controller knows by its number.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import grpc

from homeostat.wire.v1 import link_pb2, link_pb2_grpc
from homeostat_agent.decider.link.channel import Connection, NotConnected, explain, retry_after_s, status_of
from homeostat_agent.decider.link.identity import Identity
from homeostat_agent.decider.link.pace import Backoff, Surroundings
from homeostat_agent.decider.store.database import StoreError
from homeostat_agent.decider.store.recorder import Recorder, Stores
from homeostat_agent.decider.store.spool import Batch, OutOfOrder, SpoolFull, SpoolState, TelemetryEntry

BATCH_RECORDS_MAX = 500
# Below the 512 KiB of a request, with room for telemetry and what surrounds a record.
BATCH_BYTES_MAX = 400 << 10
TELEMETRY_RECORDS_MAX = 200
TELEMETRY_BYTES_MAX = 64 << 10
STORE_S_MAX = 60.0
# What a controller answers that holds other content under these numbers, after either side was put back to an earlier
# state. What waits is numbered anew then, from the number that it awaits.
CHAIN_BROKEN = grpc.StatusCode.FAILED_PRECONDITION

T = TypeVar("T")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Load:
    """What one call carries."""

    state: SpoolState
    batch: Batch
    telemetry: tuple[TelemetryEntry, ...]

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to send, nor to ask."""
        return self.state.anchored and not self.batch.entries and not self.telemetry


class Uplink:
    """The thread that empties the spool while there is a connection."""

    def __init__(self, recorder: Recorder, connection: Connection, surroundings: Surroundings) -> None:
        self._recorder = recorder
        self._connection = connection
        self._now = surroundings.now
        self._pace = surroundings.pace
        self._backoff = Backoff(surroundings)
        self._endpoint_id = self._address = ""
        self._awake = threading.Event()
        self._stopped = threading.Event()
        self._cancel: Callable[[], object] = lambda: None
        self._thread = threading.Thread(target=self._run, name="uplink", daemon=True)

    def start(self) -> None:
        """Begin to send as soon as there is a connection."""
        self._thread.start()

    def connected(self, identity: Identity) -> None:
        """Say that there is a connection, and whose records they are."""
        self._endpoint_id, self._address = identity.endpoint_id, identity.link_address
        self._backoff.succeeded()
        self.wake()

    def wake(self) -> None:
        """Look into the spool now; something was added, or the connection is new."""
        self._awake.set()

    def stop(self, timeout_s: float) -> None:
        """End the thread; a call that is under way is cut off."""
        self._stopped.set()
        self._awake.set()
        self._cancel()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._awake.wait(self._pace.outbox_s)
            self._awake.clear()
            wait_s = 0.0
            while not self._stopped.wait(wait_s):
                try:
                    more, wait_s = self._push_once()
                except NotConnected:
                    break
                except (StoreError, TimeoutError) as error:
                    log.warning("event=spool-unreadable reason=%r", str(error))
                    more, wait_s = True, self._backoff.wait_s()
                except Exception:
                    log.exception("event=uplink-broken")
                    more, wait_s = True, self._backoff.wait_s()
                if not more:
                    break

    def _push_once(self) -> tuple[bool, float]:
        """Send the oldest batch; return whether to go on, and after how many seconds."""
        if not self._endpoint_id:
            # The channel is there before its session is; until then it is not known whose records these are.
            raise NotConnected
        with self._connection.borrow() as channel:
            load = self._do(self._load)
            if load.is_empty:
                return False, 0.0
            request = _request(self._endpoint_id, load)
            try:
                answer = self._call(channel, request)
            except grpc.RpcError as error:
                log.info("event=push-failed reason=%r", explain(error, self._address))
                if status_of(error)[0] is CHAIN_BROKEN:
                    self._do(lambda stores: stores.spool.unanchor())
                return True, self._backoff.wait_s(retry_after_s(error))
        return self._settle(load, answer)

    def _load(self, stores: Stores) -> _Load:
        stores.spool.bind(self._endpoint_id)
        state = stores.spool.state()
        if not state.anchored:
            # Ask first, with an empty batch, which number the controller awaits.
            return _Load(state, Batch(state.head_hash, ()), ())
        batch = stores.spool.pending(BATCH_RECORDS_MAX, BATCH_BYTES_MAX)
        return _Load(state, batch, stores.spool.pending_telemetry(TELEMETRY_RECORDS_MAX, TELEMETRY_BYTES_MAX))

    def _call(self, channel: grpc.Channel, request: link_pb2.PushEventsRequest) -> link_pb2.PushEventsResponse:
        push = link_pb2_grpc.LinkServiceStub(channel).PushEvents
        call = push.future(request, timeout=self._pace.push_timeout_s, compression=grpc.Compression.Gzip)
        self._cancel = call.cancel
        if self._stopped.is_set():
            call.cancel()
        try:
            return call.result()
        except grpc.FutureCancelledError:
            raise NotConnected from None

    def _settle(self, load: _Load, answer: link_pb2.PushEventsResponse) -> tuple[bool, float]:
        went_on = self._do(lambda stores: self._acknowledge(stores, load, answer.next_sequence))
        asked_s = answer.retry_after.ToNanoseconds() / 1e9
        if not went_on:
            # The controller is there and takes nothing; its next answer may be another.
            return True, self._backoff.wait_s(asked_s)
        wait_s = self._backoff.wait_s(asked_s) if asked_s > 0 else 0.0
        self._backoff.succeeded()
        return True, wait_s

    def _acknowledge(self, stores: Stores, load: _Load, next_expected: int) -> bool:
        """Take the controller's word for what it has; return whether that brought the spool forward."""
        spool = stores.spool
        if load.telemetry:
            spool.forget_telemetry(load.telemetry[-1].id)
        if next_expected < 1:
            return False
        if not load.state.anchored:
            self._anchor(stores, next_expected)
            return True
        try:
            return spool.acknowledge(next_expected) > 0 or not load.batch.entries
        except OutOfOrder as error:
            log.warning("event=acknowledgement-out-of-order reason=%r", str(error))
            spool.unanchor()
            return False

    def _anchor(self, stores: Stores, next_expected: int) -> None:
        """Number what waits from where the controller is, and tell of it where that changes the numbers."""
        last = stores.spool.state().next - 1
        if stores.spool.anchor(next_expected) == 0:
            return
        sentence = f"Records up to {last} are numbered anew from {next_expected}, which the controller expected."
        log.warning("event=spool-renumbered reason=%r", sentence)
        event = link_pb2.Event(notice=link_pb2.Notice(code="spool-renumbered", sentence=sentence))
        event.at.FromDatetime(self._now())
        try:
            stores.spool.append(event.SerializeToString(), outcome=True)
        except SpoolFull:
            log.warning("event=spool-full lost=notice")

    def _do(self, work: Callable[[Stores], T]) -> T:
        return self._recorder.submit(work).result(STORE_S_MAX)


def _request(endpoint_id: str, load: _Load) -> link_pb2.PushEventsRequest:
    records = [link_pb2.EventRecord(sequence=one.sequence, body=one.body, hash=one.hash) for one in load.batch.entries]
    return link_pb2.PushEventsRequest(
        instance_uid=endpoint_id,
        records=records,
        previous_hash=load.batch.previous_hash,
        telemetry=[link_pb2.Telemetry.FromString(one.body) for one in load.telemetry],
        telemetry_dropped=load.state.telemetry_dropped,
    )
