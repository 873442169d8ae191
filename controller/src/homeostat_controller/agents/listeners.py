"""The two gRPC listeners: enrolment by the controller's certificate alone, the link by both sides'.

Invariant: a server certificate is replaced at half its life without a restart, and no plain-text port is ever opened.
"""

from collections.abc import Sequence
from typing import cast

import grpc
from grpc import aio

from homeostat_controller.agents.authority import Authority, ServerCertificate
from homeostat_controller.clock import Clock
from homeostat_controller.errors import ControllerError

MESSAGE_BYTES_MAX = 1 << 20
ENROL_MESSAGE_BYTES_MAX = 64 << 10
STREAMS_PER_CONNECTION_MAX = 8
# A connection lives this long; its calls are let finish, which the age of sessions bounds.
CONNECTION_AGE_S = 1800
CONNECTION_GRACE_S = 1500
# Agents ping each 60 s; a peer that pings more often than this is cut.
PING_INTERVAL_S = 30
KEEPALIVE_S = 60
KEEPALIVE_TIMEOUT_S = 20
METADATA_BYTES_MAX = 16 << 10

# What tells gRPC to go on with the certificate it has; its type stubs do not know it.
_KEEP = cast("grpc.ServerCertificateConfiguration", None)


class ListenError(ControllerError):
    """A port cannot be opened."""


def _options(message_bytes_max: int) -> Sequence[tuple[str, int]]:
    return (
        ("grpc.max_receive_message_length", message_bytes_max),
        ("grpc.max_concurrent_streams", STREAMS_PER_CONNECTION_MAX),
        ("grpc.max_connection_age_ms", CONNECTION_AGE_S * 1000),
        ("grpc.max_connection_age_grace_ms", CONNECTION_GRACE_S * 1000),
        ("grpc.http2.min_ping_interval_without_data_ms", PING_INTERVAL_S * 1000),
        ("grpc.keepalive_time_ms", KEEPALIVE_S * 1000),
        ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_S * 1000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.max_metadata_size", METADATA_BYTES_MAX),
        # Measured: halves the cost of idle streams; its price, smaller windows, bulk events can pay.
        ("grpc.http2.bdp_probe", 0),
        ("grpc.so_reuseport", 0),
    )


class Certificates:
    """The server certificate of both listeners, renewed when it is asked for at half its life."""

    def __init__(self, authority: Authority, names: tuple[str, ...], clock: Clock) -> None:
        self._authority = authority
        self._names = names
        self._clock = clock
        self._current = authority.server_certificate(names, clock())

    def credentials(self, *, mutual: bool) -> grpc.ServerCredentials:
        """Return credentials for a listener, which demand a client's certificate where `mutual`."""
        presented = [self._current]

        def fetch() -> grpc.ServerCertificateConfiguration:
            if self._fresh() is presented[0]:
                return _KEEP
            presented[0] = self._current
            return self._configuration(self._current, mutual=mutual)

        initial = self._configuration(self._current, mutual=mutual)
        return grpc.dynamic_ssl_server_credentials(initial, fetch, require_client_authentication=mutual)

    def _fresh(self) -> ServerCertificate:
        now = self._clock()
        if now >= self._current.renew_at:
            self._current = self._authority.server_certificate(self._names, now)
        return self._current

    def _configuration(self, current: ServerCertificate, *, mutual: bool) -> grpc.ServerCertificateConfiguration:
        roots = self._authority.root_pem if mutual else None
        return grpc.ssl_server_certificate_configuration([(current.key_pem, current.chain_pem)], roots)


def enrolment_server() -> aio.Server:
    """Return a server for the enrolment listener; it has no port yet."""
    return aio.server(options=_options(ENROL_MESSAGE_BYTES_MAX))


def link_server() -> aio.Server:
    """Return a server for the link listener; it has no port yet."""
    return aio.server(options=_options(MESSAGE_BYTES_MAX))


def open_port(server: aio.Server, listen: str, credentials: grpc.ServerCredentials) -> int:
    """Bind `listen` (host:port, port 0 for any) and return the port.

    Raises ListenError.
    """
    try:
        port = server.add_secure_port(listen, credentials)
    except RuntimeError as error:
        raise ListenError(f"{listen} cannot be listened on: {error}") from error
    if port == 0:
        raise ListenError(f"{listen} cannot be listened on; is another controller running?")
    return port
