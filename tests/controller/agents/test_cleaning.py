"""What endpoints say is cut to what the store and a screen can take."""

import json

from hypothesis import given
from hypothesis import strategies as st

from homeostat.wire.v1 import enrolment_pb2, link_pb2
from homeostat_controller.agents import cleaning


def test_labels_are_bounded_and_places_are_not_theirs_to_say() -> None:
    said = {"role": "web", "site": "lyon", "group": "x", "organisation": "y", "bad key": "1", "": "2", "a\n": "3"}
    assert cleaning.labels(said) == {"role": "web"}
    assert len(cleaning.labels({f"k{n}": "v" for n in range(1000)})) == cleaning.LABELS_MAX
    assert cleaning.labels({"k": "v" * 1000})["k"] == "v" * cleaning.LABEL_CHARACTERS_MAX


def test_a_name_is_one_line() -> None:
    assert cleaning.name("web\n1\x00\u202e") == "web 1"
    assert cleaning.name(" \t") == "unnamed"
    assert len(cleaning.name("x" * 1000)) == cleaning.NAME_CHARACTERS_MAX


def test_numbers_are_finite() -> None:
    assert [cleaning.number(one) for one in (1.5, float("nan"), float("inf"), float("-inf"))] == [1.5, 0.0, 0.0, 0.0]


def test_a_document_is_json_with_its_zeroes() -> None:
    facts = enrolment_pb2.EndpointFacts(hostname="web\0-1", cpus=0)
    assert cleaning.document(facts)["hostname"] == "web -1"
    assert cleaning.document(facts)["cpus"] == 0
    state = link_pb2.EndpointState(metrics={"x": float("nan")}, outbox_bytes=2**63)
    json.dumps(cleaning.document(state), allow_nan=False)


def test_long_lists_are_cut() -> None:
    state = link_pb2.EndpointState(services=[link_pb2.ServiceState(name=str(n)) for n in range(2000)])
    assert len(cleaning.document(state)["services"]) == cleaning.ITEMS_MAX


@given(said=st.text(max_size=3000))
def test_no_text_brings_a_control_character(said: str) -> None:
    cleaned = cleaning.text(said)
    assert cleaned.isprintable() or cleaned == ""
    assert len(cleaned) <= cleaning.TEXT_CHARACTERS_MAX
