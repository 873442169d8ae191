"""The fence, around an application that fails."""

import asyncio
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from homeostat_controller.api.measuring import Fence

SCOPE = {"type": "http", "method": "GET", "path": "/secret-id", "headers": []}


def ask(app: ASGIApp, registry: CollectorRegistry, scope: dict[str, Any]) -> list[dict[str, Any]]:
    """Send one request and return the messages of the answer."""
    sent: list[dict[str, Any]] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(Fence(app, registry)(dict(scope), receive, send))
    return sent


async def fails(_scope: Scope, _receive: Receive, _send: Send) -> None:
    raise RuntimeError("the password is hunter2")


async def fails_half_way(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    raise RuntimeError("torn")


def test_an_unexpected_failure_is_answered_and_gives_nothing_away() -> None:
    registry = CollectorRegistry()
    sent = ask(fails, registry, SCOPE)
    assert sent[0]["status"] == 500
    assert b"hunter2" not in sent[1]["body"]
    labels = {"method": "GET", "route": "other", "status": "500"}
    assert registry.get_sample_value("homeostat_http_requests_total", labels) == 1


def test_half_an_answer_is_cut_off() -> None:
    with pytest.raises(RuntimeError, match="torn"):
        ask(fails_half_way, CollectorRegistry(), SCOPE)


def test_labels_have_few_values_whatever_a_peer_sends() -> None:
    registry = CollectorRegistry()
    ask(PlainTextResponse("ok"), registry, {**SCOPE, "method": "MADE-UP"})
    labels = {"method": "other", "route": "other", "status": "200"}
    assert registry.get_sample_value("homeostat_http_requests_total", labels) == 1


def test_what_is_no_request_passes() -> None:
    seen = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        seen.append(scope["type"])

    assert ask(app, CollectorRegistry(), {"type": "lifespan"}) == []
    assert seen == ["lifespan"]
