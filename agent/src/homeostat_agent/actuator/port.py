"""The actuator's doors besides the host: time, signatures, and the way back to the decider."""

from datetime import datetime
from typing import Protocol

from homeostat.wire.v1 import actuation_pb2
from homeostat_agent.verification import Kind, Refused, Verified


class Stopping(BaseException):
    """The actuator was told to end while it waited.

    The journal holds the run as it is; whoever starts next goes on from there. Not an error, hence no Exception.
    """


class Clock(Protocol):
    """Time, and waiting in it."""

    def now(self) -> datetime:
        """Return the wall clock's time, aware, in the endpoint's own zone."""

    def elapsed(self) -> float:
        """Return seconds on a clock that nobody sets and that only goes forward."""

    def pause(self, seconds: float) -> None:
        """Wait; raise Stopping when the actuator is to end."""


class Verify(Protocol):
    """Checks a serialized Signed against a serialized TrustedKeys; `verification.verify_in_child` is the real one."""

    def __call__(self, kind: Kind, signed: bytes, trusted_keys: bytes) -> Verified | Refused:
        """Return the payload that was vouched for, or why there is none."""


class Send(Protocol):
    """Brings a message to the decider."""

    def __call__(self, message: actuation_pb2.ActuatorMessage) -> bool:
        """Send, and say whether it left: without a connected decider it did not."""
