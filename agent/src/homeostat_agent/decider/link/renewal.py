"""A new certificate at half of the old one's life, without anyone having to do anything.

The one in use is replaced only by one that is for the same key and endpoint, comes from the authority, and has already
let this endpoint in.
"""

import dataclasses
import logging
import threading
from collections.abc import Callable
from datetime import datetime

import grpc

from homeostat.wire.v1 import enrolment_pb2, enrolment_pb2_grpc
from homeostat_agent.config import AgentConfig
from homeostat_agent.decider.link.channel import Connection, NotConnected, connect, explain
from homeostat_agent.decider.link.identity import (
    Identity,
    IdentityError,
    Validity,
    identity_folder,
    inspect_certificate,
    load_identity,
    request_certificate,
    store_certificate,
)
from homeostat_agent.decider.link.pace import Backoff, Surroundings

RENEW_AT_SHARE = 0.5
RENEW_SPREAD = 0.1
RENEW_TIMEOUT_S = 30.0
CANDIDATE_TIMEOUT_S = 20.0
# The clock is looked at again at least so often: it may have been set.
LOOK_S_MOST = 900.0
RETRY_S_LEAST = 30.0
RETRY_S_MOST = 3600.0

log = logging.getLogger(__name__)


class Renewal:
    """The thread that keeps the certificate fresh; `renewed` is called after each replacement."""

    def __init__(
        self, config: AgentConfig, connection: Connection, surroundings: Surroundings, renewed: Callable[[], None]
    ) -> None:
        self._config = config
        self._connection = connection
        self._now = surroundings.now
        self._draw = surroundings.draw
        slow = dataclasses.replace(surroundings.pace, backoff_s_least=RETRY_S_LEAST, backoff_s_most=RETRY_S_MOST)
        self._backoff = Backoff(dataclasses.replace(surroundings, pace=slow))
        self._renewed = renewed
        self._watched = b""
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="renewal", daemon=True)

    def start(self) -> None:
        """Begin to watch the certificate."""
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """End the thread."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                wait_s = self._look()
            except IdentityError as error:
                log.warning("event=renewal-failed reason=%r", str(error))
                wait_s = self._backoff.wait_s()
            except NotConnected:
                wait_s = self._backoff.wait_s()
            except Exception:
                log.exception("event=renewal-broken")
                wait_s = self._backoff.wait_s()
            self._stopped.wait(min(wait_s, LOOK_S_MOST))

    def _look(self) -> float:
        """Renew if it is time; return how many seconds to wait before looking again."""
        identity = load_identity(self._config)
        if identity is None:
            return LOOK_S_MOST
        if identity.certificate_pem != self._watched:
            self._watch(identity)
        left_s = (self._due - self._now()).total_seconds()
        if left_s > 0:
            return left_s
        if self._now() >= self._validity.not_after:
            log.error("event=certificate-expired since=%s", self._validity.not_after.isoformat())
        with self._connection.borrow() as channel:
            renew(self._config, identity, channel)
        self._backoff.succeeded()
        self._renewed()
        # Not at once: with a clock far ahead of the controller's, the new one may seem to be due as well.
        return RETRY_S_LEAST

    def _watch(self, identity: Identity) -> None:
        folder = identity_folder(self._config)
        self._validity = inspect_certificate(folder, identity.certificate_pem, identity.authority_pem)
        # Drawn once for each certificate: drawn at every look, the earliest of many would count.
        self._due = renewal_due(self._validity, self._draw.uniform(-RENEW_SPREAD, RENEW_SPREAD))
        self._watched = identity.certificate_pem


def renewal_due(validity: Validity, spread: float) -> datetime:
    """Return when to renew: at half of the certificate's life, plus `spread` (a share of that life)."""
    life = validity.not_after - validity.not_before
    return validity.not_before + life * (RENEW_AT_SHARE + spread * RENEW_AT_SHARE)


def renew(
    config: AgentConfig,
    identity: Identity,
    channel: grpc.Channel,
    *,
    candidate_timeout_s: float = CANDIDATE_TIMEOUT_S,
) -> None:
    """Get a new certificate over the old one's connection, try it, and put it in place.

    Raises IdentityError; then the old certificate is still the one in use.
    """
    folder = identity_folder(config)
    csr = request_certificate(folder, identity.endpoint_id)
    try:
        stub = enrolment_pb2_grpc.IdentityServiceStub(channel)
        answer = stub.Renew(enrolment_pb2.RenewRequest(csr_der=csr), timeout=RENEW_TIMEOUT_S)
    except grpc.RpcError as error:
        raise IdentityError(explain(error, identity.link_address) + ".") from error
    certificate_pem = answer.identity.certificate_pem.encode()
    authority_pem = answer.identity.authority_pem.encode() or identity.authority_pem
    fresh = inspect_certificate(folder, certificate_pem, authority_pem)
    # All of the URI but its end may change: the endpoint can have been moved to another group.
    if fresh.uri.rpartition("/")[2] != identity.endpoint_id:
        raise IdentityError("The new certificate is for another endpoint.")
    candidate = dataclasses.replace(identity, certificate_pem=certificate_pem, authority_pem=authority_pem)
    _try_out(candidate, candidate_timeout_s)
    store_certificate(folder, certificate_pem, authority_pem)
    log.info("event=certificate-renewed until=%s", fresh.not_after.isoformat())


def _try_out(candidate: Identity, timeout_s: float) -> None:
    channel = connect(candidate.link_address, candidate.authority_pem, candidate)
    try:
        grpc.channel_ready_future(channel).result(timeout=timeout_s)
    except grpc.FutureTimeoutError as error:
        raise IdentityError("The new certificate did not let this endpoint in.") from error
    finally:
        channel.close()
