"""The forms of the console: sign in, sign out, approve and deny."""

from fastapi import APIRouter, Request, Response
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse

from homeostat_controller.api.dependencies import core_of, identity_of, sessions_of
from homeostat_controller.api.gate import FORM_BYTES_MAX, form, session_cookie
from homeostat_controller.api.pages.framing import PageRoute, drawn
from homeostat_controller.api.pages.reading import draw_approval
from homeostat_controller.api.problems import Refused
from homeostat_controller.api.requests import Approve, Deny, Target
from homeostat_controller.api.routes import approvals
from homeostat_controller.api.routes.access import open_session, set_cookie
from homeostat_controller.api.sessions import COOKIE
from homeostat_controller.api.tokens import identity_of_token

SEE_OTHER = 303
router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/sign-in")
def sign_in_page() -> Response:
    """Show the way in."""
    return drawn("sign_in.html", mistake="")


@router.post("/sign-in")
async def sign_in(request: Request) -> Response:
    """Open a browser session for the bearer of a token."""
    said = await _form(request)
    return await run_in_threadpool(_sign_in, request, said.get("token", "").strip())


@router.post("/sign-out")
def sign_out(request: Request) -> Response:
    """End the browser session."""
    sessions_of(request).end(session_cookie(request.headers))
    answer = RedirectResponse("/sign-in", SEE_OTHER)
    answer.delete_cookie(COOKIE, path="/")
    return answer


@router.post("/approvals/{approval}")
async def answer_approval(request: Request, approval: str) -> Response:
    """Approve or deny what the page showed."""
    said = await _form(request)
    return await run_in_threadpool(_answer, request, approval, said)


async def _form(request: Request) -> dict[str, str]:
    parts = bytearray()
    async for part in request.stream():
        parts += part
        if len(parts) > FORM_BYTES_MAX:
            return {}
    return form(bytes(parts))


def _sign_in(request: Request, token: str) -> Response:
    core = core_of(request)
    identity = identity_of_token(core, token) if token else None
    if identity is None:
        return drawn("sign_in.html", 401, mistake="This token is not known here. It may have been revoked.")
    cookie, _ = open_session(core, sessions_of(request), identity.name, identity.scope)
    answer = RedirectResponse("/", SEE_OTHER)
    set_cookie(answer, request, cookie)
    return answer


def _answer(request: Request, approval: str, said: dict[str, str]) -> Response:
    core, identity, reason = core_of(request), identity_of(request), said.get("reason", "")
    try:
        if said.get("answer") == "approve":
            expected = Target(**{name: said.get(name, "") for name in Target.model_fields})
            approvals.approve(core, identity, approval, Approve(reason=reason, expected=expected))
        else:
            approvals.deny(core, identity, approval, Deny(reason=reason))
    except ValidationError:
        return draw_approval(request, approval, reason, "A reason is needed, of at most 500 characters.")
    except Refused as error:
        return draw_approval(request, approval, reason, f"{error.trouble.title} {error.trouble.detail}")
    return RedirectResponse(f"/approvals/{approval}", SEE_OTHER)
