"""What all pages share: the frame around them, and how a refusal looks to a person."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool

from homeostat_controller.api.dependencies import core_of, identity_of
from homeostat_controller.api.problems import Refused, Trouble, trouble_of
from homeostat_controller.api.routes.policies import is_lab
from homeostat_controller.console.rendering import Frame, render
from homeostat_controller.errors import ControllerError
from homeostat_controller.store import approvals

_UNREADABLE = Trouble("bad-request", 422, "This address cannot be read.", "A part of it is not as it must be.", "")


class PageRoute(APIRoute):
    """A route whose refusals are pages, not problem documents."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler, fenced."""
        handle = super().get_route_handler()

        async def handle_or_explain(request: Request) -> Response:
            try:
                return await handle(request)
            except (ControllerError, Refused) as error:
                return await run_in_threadpool(refusal, request, trouble_of(error))
            except RequestValidationError:
                return await run_in_threadpool(refusal, request, _UNREADABLE)

        return handle_or_explain


def frame(request: Request, title: str, section: str) -> Frame:
    """Return what stands around a page."""
    core, identity = core_of(request), identity_of(request)
    with core.database.read() as connection:
        waiting = approvals.counts(connection).get("waiting", 0)
    return Frame(title, section, identity.name, identity.csrf, core.clock(), waiting, lab_keys=is_lab(core))


def drawn(template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """Return a page."""
    return HTMLResponse(render(template, **values), status)


def refusal(request: Request, trouble: Trouble) -> HTMLResponse:
    """Return the page that says what, why and what next."""
    problem = {"title": trouble.title, "detail": trouble.detail, "next": trouble.then}
    return drawn("mistake.html", trouble.status, frame=frame(request, trouble.title, ""), problem=problem)
