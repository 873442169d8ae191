"""The one connection to the controller, made from the identity's files, and what its failures mean in a sentence.

Both ends prove who they are: the controller against the authority of the identity, the endpoint with its certificate.
Whoever uses the connection borrows it, so that replacing it (for age or a new certificate) cuts no call off.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import grpc

from homeostat_agent.decider.link.identity import Identity

MESSAGE_BYTES_MAX = 1 << 20
KEEPALIVE_S = 60
KEEPALIVE_TIMEOUT_S = 20
DETAILS_CHARACTERS_MAX = 300
# In the trailing metadata of a call that was refused because the controller is busy; milliseconds.
RETRY_AFTER_KEY = "retry-after-ms"

OPTIONS = (
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.keepalive_time_ms", KEEPALIVE_S * 1000),
    ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_S * 1000),
    ("grpc.http2.max_pings_without_data", 0),
    # A new channel is a new connection: it shares neither a broken one nor the wait after it.
    ("grpc.use_local_subchannel_pool", 1),
    # When to try again is decided here, with jitter and by what the controller says.
    ("grpc.enable_retries", 0),
)

# What the core says of a failed connection, and what that means to whoever has to mend it. The first that fits counts.
_MEANINGS = (
    ("WRONG_VERSION_NUMBER", "what listens there does not speak TLS"),
    ("certificate has expired", "its certificate has expired (or this endpoint's clock is wrong)"),
    ("certificate is not yet valid", "its certificate is not valid yet (or this endpoint's clock is wrong)"),
    ("Hostname Verification", "its certificate is for another address"),
    ("CERTIFICATE_VERIFY_FAILED", "its certificate does not come from the authority this endpoint trusts"),
    ("certificate signature failure", "its certificate does not come from the authority this endpoint trusts"),
    ("Connection refused", "nothing listens there"),
    ("Domain name not found", "the name is not known"),
    ("hostname lookup error", "the name cannot be looked up"),
    ("Socket closed", "the connection was closed; it may have ended, or not accept this certificate"),
)


class NotConnected(Exception):  # noqa: N818  # a state of the link
    """There is no connection to borrow."""


def explain(error: grpc.RpcError, address: str) -> str:
    """Return what a failed call means, as a sentence without its full stop."""
    code, details = status_of(error)
    shown = "".join(c if c.isprintable() else " " for c in details)[:DETAILS_CHARACTERS_MAX].rstrip(". ")
    if code is grpc.StatusCode.UNAVAILABLE:
        meaning = next((says for sign, says in _MEANINGS if sign in details), shown)
        return f"The controller at {address} cannot be reached: {meaning}"
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return f"The controller at {address} did not answer in time"
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return f"What listens at {address} does not offer this service: is it another port of the controller?"
    return f"The controller at {address} refused: {shown or code.name}"


def status_of(error: grpc.RpcError) -> tuple[grpc.StatusCode, str]:
    """Return a failed call's status code and what was said with it."""
    code, details = getattr(error, "code", None), getattr(error, "details", None)
    if callable(code) and callable(details):
        return code(), details() or ""
    return grpc.StatusCode.UNKNOWN, str(error)


def retry_after_s(error: grpc.RpcError) -> float:
    """Return for how many seconds a controller that was too busy wants to be left alone; 0: it did not say."""
    trailing = getattr(error, "trailing_metadata", None)
    said = dict(trailing() or ()) if callable(trailing) else {}
    try:
        return max(0.0, int(said.get(RETRY_AFTER_KEY, "0")) / 1000)
    except ValueError:
        return 0.0


def connect(address: str, authority_pem: bytes, identity: Identity | None = None) -> grpc.Channel:
    """Return a channel to a controller of the authority; with an identity, one on which the endpoint proves its own."""
    credentials = grpc.ssl_channel_credentials(
        root_certificates=authority_pem,
        private_key=identity.key_pem if identity else None,
        certificate_chain=identity.certificate_pem if identity else None,
    )
    return grpc.secure_channel(address, credentials, options=OPTIONS)


class Connection:
    """The connection of now; opened and closed by the link's own thread, borrowed by the others."""

    def __init__(self) -> None:
        self._current: _Shared | None = None
        self._lock = threading.Lock()

    def open(self, identity: Identity) -> None:
        """Take up a new connection in place of the one before."""
        fresh = _Shared(connect(identity.link_address, identity.authority_pem, identity))
        with self._lock:
            before, self._current = self._current, fresh
        if before is not None:
            before.release()

    def close(self) -> None:
        """Offer no connection any more; the last who has borrowed it ends it."""
        with self._lock:
            before, self._current = self._current, None
        if before is not None:
            before.release()

    @contextmanager
    def borrow(self) -> Iterator[grpc.Channel]:
        """Give the channel for one use. Raises NotConnected when there is none."""
        with self._lock:
            shared = self._current
            if shared is None:
                raise NotConnected
            shared.acquire()
        try:
            yield shared.channel
        finally:
            shared.release()


class _Shared:
    """A channel that closes when its owner and everyone who borrowed it have let go."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.channel = channel
        self._holders = 1
        self._lock = threading.Lock()

    def acquire(self) -> None:
        with self._lock:
            self._holders += 1

    def release(self) -> None:
        with self._lock:
            self._holders -= 1
            last = self._holders == 0
        if last:
            self.channel.close()
