"""One session with the controller: this endpoint's state up, policies and grants down, until the stream ends.

Where streams do not live, the same messages go over single calls. Either way the first message carries everything, and
what comes down is handled one message at a time, on the caller's thread.
"""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import grpc

from homeostat.wire.v1 import link_pb2, link_pb2_grpc
from homeostat_agent.decider.link.channel import explain, retry_after_s, status_of
from homeostat_agent.decider.link.outgoing import Outgoing
from homeostat_agent.decider.link.pace import Surroundings

# After the stream's age the controller is given this long to end its side, before the call is cut.
FAREWELL_S = 5.0
# What the controller may set the heartbeat to.
HEARTBEAT_S_LEAST = 0.2
HEARTBEAT_S_MOST = 600.0
# A call answered faster than this was not held by the controller; the next one waits for the heartbeat.
HELD_S_LEAST = 5.0


@dataclass(frozen=True, slots=True)
class Ended:
    """How a session ended. `established`: the controller had answered; `aged`: it went well and was due to end."""

    why: str
    established: bool = False
    aged: bool = False
    retry_after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Conversation:
    """Who talks: this endpoint, by what it has to tell, and what is done with an answer. Address for messages only."""

    endpoint_id: str
    address: str
    outgoing: Outgoing
    receive: Callable[[link_pb2.ControllerMessage], None]
    established: Callable[[], None]


class Session:
    """One session over one channel; `run` or `poll` holds it, `cancel` ends it from any thread."""

    def __init__(self, channel: grpc.Channel, conversation: Conversation, surroundings: Surroundings) -> None:
        self._stub = link_pb2_grpc.LinkServiceStub(channel)
        self._talk = conversation
        self._pace = surroundings.pace
        self._draw = surroundings.draw
        self._heartbeat_s = self._pace.heartbeat_s
        self._ended = threading.Event()
        self._established = False
        self._answered = threading.Event()
        self._retry_after_s = 0.0
        self._cancel: Callable[[], object] = lambda: None

    def cancel(self) -> None:
        """End the session as soon as possible."""
        self._ended.set()
        self._answered.set()
        self._talk.outgoing.wake()
        self._cancel()

    def run(self) -> Ended:
        """Hold the session over one stream until it ends, for whatever reason."""
        age = self._draw.uniform(self._pace.stream_s_least, self._pace.stream_s_most)
        first = self._talk.outgoing.full(self._talk.endpoint_id)
        call = self._stub.Session(self._messages(first, time.monotonic() + age), timeout=age + FAREWELL_S)
        self._cancel = call.cancel
        if self._ended.is_set():
            call.cancel()
        try:
            for message in call:
                if self._take(message) or self._ended.is_set():
                    break
            return self._end("the controller ended the session", aged=self._established)
        except grpc.RpcError as error:
            if self._ended.is_set():
                return self._end("the session was ended")
            self._retry_after_s = retry_after_s(error)
            aged = self._established and status_of(error)[0] is grpc.StatusCode.DEADLINE_EXCEEDED
            return self._end(explain(error, self._talk.address), aged=aged)
        finally:
            self.cancel()

    def poll(self) -> Ended:
        """Hold the session over single calls, for as long as a stream would live or until one fails."""
        until = time.monotonic() + self._draw.uniform(self._pace.stream_s_least, self._pace.stream_s_most)
        message: link_pb2.AgentMessage | None = self._talk.outgoing.full(self._talk.endpoint_id)
        try:
            while message is not None and time.monotonic() < until:
                asked_at = time.monotonic()
                call = self._stub.CheckIn.future(message, timeout=self._pace.check_in_timeout_s)
                self._cancel = call.cancel
                if self._take(call.result()):
                    break
                held = time.monotonic() - asked_at >= HELD_S_LEAST
                message = self._next(0.0 if held else self._next_heartbeat_s())
        except grpc.FutureCancelledError:
            return self._end("the session was ended")
        except grpc.RpcError as error:
            self._retry_after_s = retry_after_s(error)
            return self._end(explain(error, self._talk.address))
        return self._end("the session is of age", aged=True)

    def _messages(self, first: link_pb2.AgentMessage, until: float) -> Iterator[link_pb2.AgentMessage]:
        yield first
        # The first answer brings the token that the next message has to show.
        self._answered.wait()
        message = self._next(self._next_heartbeat_s())
        while message is not None:
            yield message
            wait_s = min(self._next_heartbeat_s(), until - time.monotonic())
            if wait_s <= 0:
                return
            message = self._next(wait_s)

    def _next(self, wait_s: float) -> link_pb2.AgentMessage | None:
        return self._talk.outgoing.next(self._talk.endpoint_id, wait_s, self._ended)

    def _next_heartbeat_s(self) -> float:
        spread = self._pace.heartbeat_spread
        return self._heartbeat_s * self._draw.uniform(1 - spread, 1 + spread)

    def _take(self, message: link_pb2.ControllerMessage) -> bool:
        """Handle one message; return whether the controller wants the session to end."""
        outgoing, settings = self._talk.outgoing, message.settings
        if not self._established:
            self._established = True
            self._talk.established()
        outgoing.acknowledge(message.acknowledged_sequence_num)
        if settings.HasField("heartbeat"):
            wanted_s = settings.heartbeat.ToNanoseconds() / 1e9
            self._heartbeat_s = min(max(wanted_s, HEARTBEAT_S_LEAST), HEARTBEAT_S_MOST)
        self._talk.receive(message)
        self._answered.set()
        if message.report_full_state:
            outgoing.tell_all()
        if settings.HasField("retry_after"):
            self._retry_after_s = settings.retry_after.ToNanoseconds() / 1e9
            return True
        return False

    def _end(self, why: str, *, aged: bool = False) -> Ended:
        return Ended(why, self._established, aged and not self._retry_after_s, self._retry_after_s)
