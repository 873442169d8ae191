import json

import pytest

from homeostat_controller.api.filter_language import FilterError
from homeostat_controller.api.problems import MEDIA_TYPE, SIGN_IN, Refused, Trouble, response, trouble_of
from homeostat_controller.errors import Busy, Conflict, ControllerError, Invalid, NotFound


@pytest.mark.parametrize(
    ("error", "kind", "status"),
    [
        (NotFound("there is no endpoint 'x'"), "not-found", 404),
        (Conflict("it is used"), "conflict", 409),
        (Invalid("not a group"), "bad-request", 422),
        (Busy("too many sessions", 2.4), "busy", 503),
        (ControllerError("the disk is full"), "failed", 500),
        (FilterError("no field", 3, "Use name."), "bad-filter", 422),
        (Refused(SIGN_IN), "not-signed-in", 401),
    ],
)
def test_each_error_has_its_problem(error: Exception, kind: str, status: int) -> None:
    trouble = trouble_of(error)
    assert (trouble.kind, trouble.status) == (kind, status)
    assert trouble.title
    assert trouble.then


def test_the_errors_own_sentence_is_the_why() -> None:
    assert trouble_of(NotFound("there is no endpoint 'x'")).detail == "There is no endpoint 'x'."
    assert trouble_of(Conflict("Really?")).detail == "Really?"
    assert trouble_of(Conflict("")).detail == ""


def test_a_filters_mistake_has_a_place() -> None:
    trouble = trouble_of(FilterError("no field", 3, "Use name."))
    assert trouble.errors == [{"where": "q:4", "sentence": "no field"}]
    assert (trouble.detail, trouble.then) == ("At character 4.", "Use name.")


def test_a_problem_as_it_is_written() -> None:
    answer = response(Trouble("busy", 503, "Busy.", "Too much.", "Wait.", retry_after_s=2.4))
    assert answer.headers["content-type"] == MEDIA_TYPE
    assert answer.headers["retry-after"] == "2"
    assert json.loads(bytes(answer.body)) == {
        "type": "urn:homeostat:problem:busy",
        "title": "Busy.",
        "status": 503,
        "detail": "Too much.",
        "next": "Wait.",
        "errors": [],
    }
    assert response(SIGN_IN).headers["www-authenticate"] == 'Bearer realm="homeostat"'
