import pytest
from starlette.requests import Request

from homeostat_controller.api.dependencies import identity_of, page_request
from homeostat_controller.api.gate import Identity
from homeostat_controller.api.problems import Refused
from homeostat_controller.store.paging import PageRequest


def request(**state: object) -> Request:
    return Request({"type": "http", "method": "GET", "path": "/", "headers": [], "state": state})


def test_a_route_that_the_gate_did_not_guard_still_refuses() -> None:
    with pytest.raises(Refused):
        identity_of(request())
    with pytest.raises(Refused):
        identity_of(request(identity=None))


def test_who_asks_is_handed_on() -> None:
    who = Identity("admin", "admin", "token")
    assert identity_of(request(identity=who)) is who


def test_a_page_of_a_list() -> None:
    assert page_request(7, "cursor") == PageRequest(7, "cursor")
