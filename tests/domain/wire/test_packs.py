from collections.abc import Callable
from datetime import timedelta

import pytest
from domain_strategies import grants, packs
from domain_values import DOWN, NOW
from hypothesis import given, settings
from hypothesis import strategies as st
from wire_checks import comes_back, is_value_or_wire_error, spoilt

from homeostat.catalogue import Risk
from homeostat.decision import Ask, Reason, ReasonCode
from homeostat.exception_pack import ExceptionPack, Grant
from homeostat.plan import Plan, RestartService
from homeostat.wire import packs as wire
from homeostat.wire.v1 import incident_pb2
from homeostat.wire.values import WireError

LATER = NOW + timedelta(hours=1)
ASK = Ask("restart", Reason(ReasonCode.LEVEL, "restart-services", "Rule restart-services is at level ask."))
PLAN = Plan((RestartService("web"),), (), bytes(32), "It answers.")
PACK = ExceptionPack("p1", DOWN, ASK, "web", 7, Risk.MEDIUM, PLAN, "It cannot be undone.", NOW, LATER)
GRANT = Grant("p1", "e1", "i1", "restart", bytes(32), bytes(32), 7, "anna", LATER, b"once")


@settings(max_examples=40, deadline=None)
@given(packs)
def test_packs_come_back(pack: ExceptionPack) -> None:
    comes_back(pack, wire.pack_to_wire, wire.pack_from_wire)


@settings(max_examples=40, deadline=None)
@given(grants)
def test_grants_come_back(grant: Grant) -> None:
    comes_back(grant, wire.grant_to_wire, wire.grant_from_wire)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_spoilt_pack_is_refused_or_is_one(data: st.DataObject) -> None:
    is_value_or_wire_error(spoilt(data, wire.pack_to_wire(PACK)), wire.pack_from_wire)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_spoilt_grant_is_refused_or_is_one(data: st.DataObject) -> None:
    is_value_or_wire_error(spoilt(data, wire.grant_to_wire(GRANT)), wire.grant_from_wire)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda one: one.ClearField("id"), "id: is missing"),
        (lambda one: one.ClearField("incident"), "incident: is missing"),
        (lambda one: one.ClearField("decision"), "decision: is missing"),
        (lambda one: one.ClearField("plan"), "plan: is missing"),
        (lambda one: setattr(one, "risk", 0), "risk: 0 is not known here"),
        (lambda one: one.ClearField("created_at"), "created_at: is missing"),
        (lambda one: one.ClearField("expires_at"), "expires_at: is missing"),
        (lambda one: setattr(one, "playbook", "reboot"), "decision: does not ask for this pack's repair"),
        (lambda one: setattr(one.decision, "kind", 1), "decision: does not ask for this pack's repair"),
        (lambda one: setattr(one.decision, "incident_id", "i2"), "decision: does not ask for this pack's repair"),
    ],
)
def test_what_is_no_pack(spoil: Callable[[incident_pb2.ExceptionPack], object], said: str) -> None:
    message = wire.pack_to_wire(PACK)
    spoil(message)
    with pytest.raises(WireError) as caught:
        wire.pack_from_wire(message)
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("field", "said"),
    [
        *(
            (field, f"{field}: is missing")
            for field in ("pack_id", "endpoint_id", "incident_id", "playbook", "approver")
        ),
        ("not_after", "not_after: is missing"),
        *((field, "grant: lacks a digest or its nonce") for field in ("state_digest", "plan_digest", "nonce")),
    ],
)
def test_a_grant_with_a_part_missing_allows_nothing(field: str, said: str) -> None:
    message = wire.grant_to_wire(GRANT)
    message.ClearField(field)  # type: ignore[arg-type]  # names of fields
    with pytest.raises(WireError) as caught:
        wire.grant_from_wire(message)
    assert str(caught.value) == said


@pytest.mark.parametrize("length", [31, 33])
def test_a_digest_of_another_length_is_none(length: int) -> None:
    for field in ("state_digest", "plan_digest"):
        message = wire.grant_to_wire(GRANT)
        setattr(message, field, bytes(length))
        with pytest.raises(WireError, match="lacks a digest"):
            wire.grant_from_wire(message)
