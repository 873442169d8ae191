"""The web application: the API under /api/v1, the console's pages beside it, and one gate before both."""

from importlib.metadata import version

from fastapi import APIRouter, Depends, FastAPI
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from fastapi.staticfiles import StaticFiles
from starlette.concurrency import run_in_threadpool

from homeostat_controller import console
from homeostat_controller.api import problems
from homeostat_controller.api.admin_schemas import Problem
from homeostat_controller.api.bodies import BodyLimit
from homeostat_controller.api.gate import Gate, Identity, Wiring
from homeostat_controller.api.headers import SecurityHeaders
from homeostat_controller.api.measuring import Fence
from homeostat_controller.api.pages import acting, reading
from homeostat_controller.api.routes import access, approvals, audit, endpoints, enrolment, health, incidents, policies
from homeostat_controller.api.sessions import Sessions
from homeostat_controller.api.tokens import identity_of_token
from homeostat_controller.core import Core

# A policy of requests.DOCUMENT_CHARACTERS_MAX in UTF-8 and JSON, and nothing larger.
BODY_BYTES_MAX = 2 << 20
# Names by which a machine always reaches itself.
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_DESCRIPTION = """
Everything the console and the `homeostat` command line do, they do through this API.

Send a token as `Authorization: Bearer …`. Lists are pages by cursor: send `next` back as `after`. Every refusal is an
`application/problem+json` with what (`title`), why (`detail`) and what to do next (`next`).
"""


def create_app(core: Core) -> FastAPI:
    """Build the application over a core. It owns no resource of its own but the browser sessions."""
    app = FastAPI(
        title="Homeostat controller",
        version=version("homeostat-controller"),
        description=_DESCRIPTION,
        docs_url=None,  # the bundled pages load from elsewhere, which our own policy forbids
        redoc_url=None,
        openapi_url="/openapi.json",
        generate_unique_id_function=_operation_id,
    )
    app.state.core = core
    app.state.sessions = Sessions()
    problems.install(app)
    app.include_router(_api())
    app.include_router(health.router)
    app.include_router(reading.router)
    app.include_router(acting.router)
    app.mount("/static", StaticFiles(packages=[(console.__name__, "static")]), name="static")
    app.add_middleware(Gate, wiring=_wiring(core, app.state.sessions))
    app.add_middleware(BodyLimit, bytes_max=BODY_BYTES_MAX)
    app.add_middleware(Fence, registry=core.metrics.registry)
    app.add_middleware(SecurityHeaders)
    return app


def _api() -> APIRouter:
    responses: dict[int | str, dict[str, object]] = {"default": {"model": Problem, "description": "Why it was refused"}}
    bearer = HTTPBearer(auto_error=False, description="An administrator's token")
    api = APIRouter(prefix="/api/v1", responses=responses, dependencies=[Depends(bearer)])
    for noun in (endpoints, incidents, approvals, policies, enrolment, audit, access):
        api.include_router(noun.router)
    return api


def _operation_id(route: APIRoute) -> str:
    return route.name


def _wiring(core: Core, sessions: Sessions) -> Wiring:
    async def lookup(token: str) -> Identity | None:
        return await run_in_threadpool(identity_of_token, core, token)

    return Wiring(LOOPBACK_NAMES | set(core.settings.names), sessions, lookup, core.clock)
