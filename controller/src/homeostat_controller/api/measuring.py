"""Counts and times requests, and fences them: one that fails unexpectedly is logged and answered, and ends no other."""

import time

import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from homeostat_controller.api.problems import UNEXPECTED, response

# A peer may send any word as a method; a metric has few values.
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
OTHER = "other"
_log = structlog.get_logger(__name__)


class Fence:
    """ASGI middleware. Metrics carry the route's name: a path has as many values as there are ids."""

    def __init__(self, app: ASGIApp, registry: CollectorRegistry) -> None:
        self._app = app
        self._requests = Counter(
            "homeostat_http_requests", "HTTP requests, by answer", ("method", "route", "status"), registry=registry
        )
        self._seconds = Histogram("homeostat_http_request_seconds", "Time to answer", ("route",), registry=registry)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and answer it with a problem where nobody else did."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 0

        async def send_and_note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_and_note)
        except Exception:
            _log.exception("request_failed", method=scope["method"], path=scope["path"])
            if status:
                raise  # half an answer is on its way; the server has to cut the connection
            await response(UNEXPECTED)(scope, receive, send_and_note)
        finally:
            route = getattr(scope.get("route"), "name", None) or OTHER
            method = scope["method"] if scope["method"] in METHODS else OTHER
            self._requests.labels(method, route, str(status)).inc()
            self._seconds.labels(route).observe(time.perf_counter() - began)
