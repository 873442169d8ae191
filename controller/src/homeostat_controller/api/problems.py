"""Every refusal as application/problem+json: what (`title`), why (`detail`), and what to do next (`next`).

Invariant: no exception's text reaches a client unless it was written for a person.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from homeostat_controller.api.filter_language import FilterError
from homeostat_controller.errors import Busy, Conflict, ControllerError, Invalid, NotFound

MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Trouble:
    """A problem before it is written: its kind is the last part of `type`."""

    kind: str
    status: int
    title: str
    detail: str = ""
    then: str = ""
    errors: Sequence[Mapping[str, Any]] = ()
    retry_after_s: float = 0.0


class Refused(Exception):  # noqa: N818  # it is an answer, not a fault
    """A refusal that a route decides on itself."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(trouble.title)
        self.trouble = trouble


SIGN_IN = Trouble(
    "not-signed-in", 401, "You are not signed in.", "The request has no valid token.", "homeostat login --help"
)
# Kind, status, title and next for each error of the core; the error's own sentence is the why.
_OF_ERRORS: Mapping[type[ControllerError], tuple[str, int, str, str]] = MappingProxyType(
    {
        NotFound: ("not-found", 404, "There is no such thing.", "List what there is, and check the name."),
        Conflict: ("conflict", 409, "It cannot be done as things stand.", "Look at it again, then decide."),
        Invalid: ("bad-request", 422, "What was sent cannot be used.", "Correct it and send it again."),
        Busy: ("busy", 503, "The controller has too much to do.", "Try again a little later."),
    }
)
UNEXPECTED = Trouble(
    "failed", 500, "The controller could not do it.", "It met an error of its own.", "Look into the controller's log."
)
_OTHER = ("failed", 500, "The controller could not do it.", "Look into the controller's log.")


def install(app: FastAPI) -> None:
    """Make every error of `app` a problem."""
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(ControllerError, _controller_error)
    app.add_exception_handler(FilterError, _filter_error)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(HTTPException, _http_exception)


def trouble_of(error: Exception) -> Trouble:
    """Return what an expected error says to a client."""
    if isinstance(error, Refused):
        return error.trouble
    if isinstance(error, FilterError):
        where = {"where": f"q:{error.position + 1}", "sentence": error.why}
        return Trouble("bad-filter", 422, error.why, f"At character {error.position + 1}.", error.instead, [where])
    kind, status, title, then = next((row for kind, row in _OF_ERRORS.items() if isinstance(error, kind)), _OTHER)
    wait = error.retry_after_s if isinstance(error, Busy) else 0.0
    return Trouble(kind, status, title, _sentence(str(error)), then, retry_after_s=wait)


def response(trouble: Trouble) -> JSONResponse:
    """Write a problem."""
    headers = {}
    if trouble.retry_after_s:
        headers["Retry-After"] = str(max(1, round(trouble.retry_after_s)))
    if trouble.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Bearer realm="homeostat"'
    body = {
        "type": f"urn:homeostat:problem:{trouble.kind}",
        "title": trouble.title,
        "status": trouble.status,
        "detail": trouble.detail,
        "next": trouble.then,
        "errors": list(trouble.errors),
    }
    return JSONResponse(body, trouble.status, headers, MEDIA_TYPE)


async def _refused(_request: Request, error: Exception) -> Response:
    return response(trouble_of(error))


_controller_error = _refused
_filter_error = _refused


async def _invalid_request(_request: Request, error: Exception) -> Response:
    found = error.errors() if isinstance(error, RequestValidationError) else []
    errors = [{"where": ".".join(str(part) for part in one["loc"]), "sentence": str(one["msg"])} for one in found]
    return response(
        Trouble("bad-request", 422, "The request is not as it must be.", "", "GET /openapi.json says how.", errors)
    )


async def _http_exception(_request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    title = {404: "There is no such address.", 405: "This address cannot be asked that way."}.get(
        status, f"{HTTPStatus(status).phrase}."
    )
    return response(Trouble("http", status, title, "", "GET /openapi.json lists what there is."))


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}" + ("" if text.endswith((".", "?", "!")) else ".") if text else ""
