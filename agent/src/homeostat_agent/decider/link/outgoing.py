"""What the controller should know of this endpoint now: the latest of each kind, never a queue of old states.

The first message of a session carries everything, later ones what changed since. Receipts are the exception: each is
sent until the controller has acknowledged a message that carried it.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from homeostat.wire.v1 import link_pb2

RECEIPTS_MAX = 256


@dataclass(slots=True)
class _Pending:
    """A receipt and the message it last went with; 0 before the first."""

    receipt: link_pb2.Receipt
    sequence: int = 0


class Outgoing:
    """The state of this endpoint as it is to be told; any thread may change it, one session at a time tells it.

    `hello` is called at the begin of each session, on the session's thread. `message_s_least` keeps two messages apart
    whatever changes.
    """

    def __init__(self, hello: Callable[[], link_pb2.Hello], message_s_least: float) -> None:
        self._hello = hello
        self._message_s_least = message_s_least
        self._changed = threading.Condition()
        self._sequence = 0
        self._sent_at = 0.0
        self._state: link_pb2.EndpointState | None = None
        self._policy: link_pb2.PolicyStatus | None = None
        self._receipts: deque[_Pending] = deque(maxlen=RECEIPTS_MAX)
        self._token = b""
        self._state_is_news = self._policy_is_news = self._full_is_due = self._urgent = False

    def set_state(self, state: link_pb2.EndpointState) -> None:
        """Take the endpoint's state; numbers alone wait for the next heartbeat, anything else goes out at once."""
        with self._changed:
            if self._state is None or _without_numbers(self._state) != _without_numbers(state):
                self._urge()
            self._state, self._state_is_news = state, True

    def set_policy(self, status: link_pb2.PolicyStatus) -> None:
        """Take the status of policies; it goes out at once when it changed."""
        with self._changed:
            if self._policy != status:
                self._policy, self._policy_is_news = status, True
                self._urge()

    def add_receipt(self, receipt: link_pb2.Receipt) -> None:
        """Take a receipt; above RECEIPTS_MAX that nobody acknowledges, the oldest gives way."""
        with self._changed:
            self._receipts.append(_Pending(receipt))
            self._urge()

    def set_token(self, token: bytes) -> None:
        """Take the token that the next message has to show."""
        with self._changed:
            self._token = token

    def acknowledge(self, sequence: int) -> None:
        """Forget the receipts that went with this message or one before it."""
        with self._changed:
            kept = [one for one in self._receipts if one.sequence == 0 or one.sequence > sequence]
            self._receipts = deque(kept, maxlen=RECEIPTS_MAX)

    def tell_all(self) -> None:
        """Make the next message a full one, and let it go out at once."""
        with self._changed:
            self._full_is_due = True
            self._urge()

    def wake(self) -> None:
        """Let whoever waits in `next` look whether its session has ended."""
        with self._changed:
            self._changed.notify_all()

    def full(self, instance_uid: str) -> link_pb2.AgentMessage:
        """Return the first message of a session."""
        hello = self._hello()
        with self._changed:
            return self._message(instance_uid, hello)

    def next(self, instance_uid: str, wait_s: float, ended: threading.Event) -> link_pb2.AgentMessage | None:
        """Return the next message: when something is to be told, or after `wait_s` as a sign of life.

        Returns None once `ended` is set (and `wake` was called).
        """
        until = time.monotonic() + wait_s
        with self._changed:
            while not ended.is_set():
                due = min(until, self._sent_at + self._message_s_least) if self._urgent else until
                left = due - time.monotonic()
                if left <= 0:
                    break
                self._changed.wait(left)
            if ended.is_set():
                return None
            full = self._full_is_due
        hello = self._hello() if full else None
        with self._changed:
            return self._message(instance_uid, hello)

    def _message(self, instance_uid: str, hello: link_pb2.Hello | None) -> link_pb2.AgentMessage:
        full = hello is not None
        self._sequence += 1
        for one in self._receipts:
            one.sequence = self._sequence if full or one.sequence == 0 else one.sequence
        message = link_pb2.AgentMessage(
            instance_uid=instance_uid,
            sequence_num=self._sequence,
            hello=hello,
            state=self._state if full or self._state_is_news else None,
            policy=self._policy if full or self._policy_is_news else None,
            receipts=[one.receipt for one in self._receipts if one.sequence == self._sequence],
            session_token=self._token,
        )
        self._state_is_news = self._policy_is_news = self._urgent = False
        self._full_is_due = self._full_is_due and not full
        self._sent_at = time.monotonic()
        return message

    def _urge(self) -> None:
        self._urgent = True
        self._changed.notify_all()


def _without_numbers(state: link_pb2.EndpointState) -> link_pb2.EndpointState:
    return link_pb2.EndpointState(
        health=state.health, detail=state.detail, open_incidents=state.open_incidents, services=state.services
    )
