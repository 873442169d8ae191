"""The service of the enrolment listener, where nobody has an identity yet.

Invariant: what a caller can cost is bounded by its address and by the token it shows, before any key is looked at.
"""

import asyncio
import hashlib
from concurrent.futures import Executor
from dataclasses import dataclass

import grpc

from homeostat.wire.v1 import enrolment_pb2
from homeostat_controller.agents.calls import Context, Methods, address_of, guarded, parsed
from homeostat_controller.agents.enrolment import Enrolment
from homeostat_controller.agents.limits import Gate
from homeostat_controller.errors import ControllerError
from homeostat_controller.metrics import Metrics

ENROL_BYTES_MAX = 64 << 10


@dataclass(frozen=True, slots=True)
class EnrolmentService:
    """Behind TLS by the controller's certificate alone."""

    enrolment: Enrolment
    by_address: Gate
    by_token: Gate
    threads: Executor
    metrics: Metrics

    async def enroll(self, raw: bytes, context: Context) -> bytes:
        """Turn a token into an identity."""
        return await guarded(self._enroll(raw, context), "Enroll", context, self.metrics)

    async def _enroll(self, raw: bytes, context: Context) -> bytes:
        with self.by_address.enter(address_of(context)):
            request = parsed(enrolment_pb2.EnrollRequest, raw, ENROL_BYTES_MAX)
            self.by_token.spend(hashlib.sha256(request.token.encode()).hexdigest())
            try:
                loop = asyncio.get_running_loop()
                answer = await loop.run_in_executor(self.threads, self.enrolment.redeem, request)
            except ControllerError as error:
                self.metrics.enrolments.labels(type(error).__name__).inc()
                raise
            self.metrics.enrolments.labels("enrolled").inc()
            return answer.SerializeToString()


def methods(service: EnrolmentService) -> list[grpc.GenericRpcHandler]:
    """Return the service as gRPC takes it, with bytes in and out."""
    enrolment: Methods = {"Enroll": grpc.unary_unary_rpc_method_handler(service.enroll)}
    return [grpc.method_handlers_generic_handler("homeostat.wire.v1.EnrolmentService", enrolment)]
