"""No request body above a bound is read, whether it announces its length or not."""

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from homeostat_controller.api.problems import Trouble, response

TOO_LARGE = 413


class BodyLimit:
    """ASGI middleware. What comes without a length is counted while it is read."""

    def __init__(self, app: ASGIApp, bytes_max: int) -> None:
        self._app = app
        self._bytes_max = bytes_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a body that announces too much, and cut off one that turns out to be."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "0")
        if not announced.isdigit() or int(announced) > self._bytes_max:
            why = f"{self._bytes_max} bytes are allowed."
            await response(Trouble("too-large", TOO_LARGE, "The request is too large.", why))(scope, receive, send)
            return
        await self._app(scope, self._counted(receive), send)

    def _counted(self, receive: Receive) -> Receive:
        seen = 0

        async def receive_counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self._bytes_max:
                # The one kind of exception that FastAPI lets pass while it reads a body.
                raise HTTPException(TOO_LARGE)
            return message

        return receive_counted
