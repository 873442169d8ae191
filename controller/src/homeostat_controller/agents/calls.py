"""What every gRPC call has in common: who calls, what it sent, and what an error means to the peer.

Requests arrive as bytes, so that what cannot be parsed is refused with a sentence. Invariant: an error of one call
ends that call and nothing else, and says nothing of the controller's inside.
"""

import asyncio
from collections.abc import Awaitable, Mapping
from typing import Any, TypeAlias, TypeVar

import grpc
import structlog
from google.protobuf.message import DecodeError, Message
from grpc import aio

from homeostat_controller.agents import identity
from homeostat_controller.agents.enrolment import Refused
from homeostat_controller.agents.inbox import StoreFailed
from homeostat_controller.agents.ingest import ChainBroken
from homeostat_controller.errors import Busy, Conflict, ControllerError, Invalid, NotFound
from homeostat_controller.metrics import Metrics

# As texts: only the type stubs know these classes' parameters.
Context: TypeAlias = "aio.ServicerContext[Any, Any]"
Methods: TypeAlias = "dict[str, grpc.RpcMethodHandler[Any, Any]]"
M = TypeVar("M", bound=Message)
T = TypeVar("T")

# The first class that fits decides.
CODES: Mapping[type[ControllerError], grpc.StatusCode] = {
    identity.NoIdentity: grpc.StatusCode.UNAUTHENTICATED,
    Refused: grpc.StatusCode.PERMISSION_DENIED,
    Invalid: grpc.StatusCode.INVALID_ARGUMENT,
    NotFound: grpc.StatusCode.NOT_FOUND,
    Conflict: grpc.StatusCode.FAILED_PRECONDITION,
    ChainBroken: grpc.StatusCode.FAILED_PRECONDITION,
    Busy: grpc.StatusCode.RESOURCE_EXHAUSTED,
    StoreFailed: grpc.StatusCode.UNAVAILABLE,
    ControllerError: grpc.StatusCode.INTERNAL,
}

log = structlog.get_logger()


def peer_of(context: Context) -> identity.Identity:
    """Return the endpoint of the peer's certificate.

    Raises NoIdentity.
    """
    found = next(iter(context.auth_context().get("x509_pem_cert", ())), None)
    if found is None:
        raise identity.NoIdentity("a certificate is needed here")
    return identity.of_certificate(bytes(found))


def address_of(context: Context) -> str:
    """Return the peer's address without its port: what limits are counted by before there is an identity."""
    return str(context.peer()).rpartition(":")[0]


def parsed(kind: type[M], raw: bytes, bytes_max: int) -> M:
    """Return the message in `raw`.

    Raises Invalid when it is too large or none.
    """
    if len(raw) > bytes_max:
        raise Invalid(f"the message has {len(raw)} bytes; {bytes_max} are allowed")
    message = kind()
    try:
        message.ParseFromString(raw)
    except DecodeError:
        raise Invalid(f"this is no {kind.DESCRIPTOR.name}") from None
    return message


async def guarded(call: Awaitable[T], method: str, context: Context, metrics: Metrics) -> T:
    """Return what a call returns; an expected failure ends it with the code that CODES gives."""
    try:
        return await call
    except ControllerError as error:
        code = next(code for kind, code in CODES.items() if isinstance(error, kind))
        cause = type(error).__name__
        if not isinstance(error, Busy):  # the gates count those
            metrics.calls_refused.labels(method, cause).inc()
        level = log.debug if isinstance(error, Busy) else log.info
        level("call-refused", method=method, peer=context.peer(), cause=cause, reason=str(error))
        await _abort(context, code, error)
        raise  # _abort raises; this is for the type checker


async def _abort(context: Context, code: grpc.StatusCode, error: ControllerError) -> None:
    try:
        await context.abort(code, str(error), _metadata(error))
    except aio.AbortError:
        raise
    except Exception as failed:
        # What is being written to a peer that does not read cannot be overtaken; gRPC gives the call up on this.
        log.debug("call-given-up", peer=context.peer(), reason=str(failed))
        raise asyncio.CancelledError from failed


def _metadata(error: ControllerError) -> tuple[tuple[str, str], ...]:
    return (("retry-after-ms", str(int(error.retry_after_s * 1000))),) if isinstance(error, Busy) else ()
