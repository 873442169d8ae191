"""Enrolment over the wire: before any identity, with limits by address and by token."""

from pathlib import Path

import grpc
import pytest
from fixtures_identities import Keys
from fixtures_running import WAIT_S, Running, build

from homeostat.wire.v1 import enrolment_pb2, enrolment_pb2_grpc
from homeostat_controller.config import Limits, MethodLimit


def code_of(controller: Running, request: enrolment_pb2.EnrollRequest) -> grpc.StatusCode:
    with pytest.raises(grpc.RpcError) as error:
        controller.enrol(request)
    code: grpc.StatusCode = error.value.code()
    return code


def test_a_token_works_once_and_a_lost_answer_is_given_again(controller: Running) -> None:
    keys, token = Keys(), controller.token()
    first = controller.enrol(keys.request(token))
    assert controller.enrol(keys.request(token)).endpoint_id == first.endpoint_id
    assert first.link_address == f"127.0.0.1:{controller.ports.link}"
    assert code_of(controller, Keys().request(token)) is grpc.StatusCode.PERMISSION_DENIED
    sample = controller.core.metrics.registry.get_sample_value
    assert sample("homeostat_enrolments_total", {"result": "enrolled"}) == 2
    assert sample("homeostat_enrolments_total", {"result": "Refused"}) == 1


def test_what_is_no_request_is_refused_with_a_sentence(controller: Running) -> None:
    request = Keys().request(controller.token())
    request.csr_der = b"nothing"
    with pytest.raises(grpc.RpcError) as error:
        controller.enrol(request)
    assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert error.value.details() == "the certificate request cannot be read"


def test_one_address_can_only_try_so_often(tmp_path: Path) -> None:
    limits = Limits(enrol=MethodLimit(interval_s=60.0, burst=3, in_flight=5))
    running = Running(build(tmp_path / "data", limits=limits))
    request = Keys().request("c2VjcmV0")
    codes = [code_of(running, request) for _ in range(4)]
    running.stop()
    assert codes == [grpc.StatusCode.PERMISSION_DENIED] * 3 + [grpc.StatusCode.RESOURCE_EXHAUSTED]


def test_the_enrolment_port_serves_nothing_else(controller: Running) -> None:
    credentials = grpc.ssl_channel_credentials(controller.core.authority.root_pem)
    with grpc.secure_channel(f"127.0.0.1:{controller.ports.enrol}", credentials) as channel:
        stub = enrolment_pb2_grpc.IdentityServiceStub(channel)
        with pytest.raises(grpc.RpcError) as error:
            stub.Renew(enrolment_pb2.RenewRequest(), timeout=WAIT_S)
    assert error.value.code() is grpc.StatusCode.UNIMPLEMENTED
