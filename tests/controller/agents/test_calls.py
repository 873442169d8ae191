"""What calls have in common: messages that are none, and codes for every failure."""

from collections.abc import Iterator

import grpc
import pytest

from homeostat.wire.v1 import link_pb2
from homeostat_controller import errors
from homeostat_controller.agents import calls, conversation, enrolment, inbox, ingest, listeners
from homeostat_controller.errors import ControllerError, Invalid
from homeostat_controller.key_files import KeyFileError
from homeostat_controller.policies.editing import PolicyRefused
from homeostat_controller.store.schema import SchemaError


def kinds(kind: type[ControllerError] = ControllerError) -> Iterator[type[ControllerError]]:
    for one in kind.__subclasses__():
        yield one
        yield from kinds(one)


def code(kind: type[ControllerError]) -> grpc.StatusCode:
    return next(found for known, found in calls.CODES.items() if issubclass(kind, known))


def test_every_failure_of_the_controller_has_a_code() -> None:
    assert {code(kind) for kind in kinds()} <= set(grpc.StatusCode)
    assert code(conversation.WrongPeer) is code(enrolment.Refused) is grpc.StatusCode.PERMISSION_DENIED
    assert code(ingest.ChainBroken) is grpc.StatusCode.FAILED_PRECONDITION
    assert code(inbox.StoreFailed) is grpc.StatusCode.UNAVAILABLE
    assert code(errors.Busy) is grpc.StatusCode.RESOURCE_EXHAUSTED
    inside = (KeyFileError, SchemaError, listeners.ListenError, PolicyRefused)
    assert {code(kind) for kind in inside} == {grpc.StatusCode.INTERNAL}


def test_a_message_is_parsed_up_to_its_limit() -> None:
    raw = link_pb2.AgentMessage(instance_uid="ep-1").SerializeToString()
    assert calls.parsed(link_pb2.AgentMessage, raw, len(raw)).instance_uid == "ep-1"
    with pytest.raises(Invalid, match="are allowed"):
        calls.parsed(link_pb2.AgentMessage, raw, len(raw) - 1)


def test_what_is_no_message_is_said_by_its_name() -> None:
    with pytest.raises(Invalid, match="this is no AgentMessage"):
        calls.parsed(link_pb2.AgentMessage, b"\xff\xff", 100)
