"""Around every request: its id, what is written down of it, and a last net under bugs."""

import logging
import os
import re
import time

from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.access import AccessLog
from app.api.error_handlers import on_bug
from app.api.exchange import EXCHANGE, exchange_of
from app.errors import PassFailed
from app.exchange import Exchange
from app.lifecycle import Lifecycle

logger = logging.getLogger("gyoza.api")

HEADER = b"x-request-id"
LAST = (b"connection", b"close")
REQUEST_ID = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")
"""Ids that can't hurt in a header or a log line."""
CLIENT_CLOSED = 499
DISCONNECTED = "disconnected"
"""The kind of problem of which no client is told."""


class RequestMiddleware:
    """Gives a request its id, and has it written down when it is answered; the outermost of all.

    Args:
        app: What answers requests.
        access: What writes them down.
        lifecycle: Whether the process is about to end: then answers are the last ones on their connections.
    """

    def __init__(self, app: ASGIApp, access: AccessLog, lifecycle: Lifecycle | None = None) -> None:
        """Wrap the application."""
        self._app = app
        self._access = access
        self._lifecycle = lifecycle or Lifecycle()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request through; anything else than HTTP as it is."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = request_id_of(scope)
        exchange = Exchange(request_id, time.monotonic())
        scope.setdefault("state", {}).update({"request_id": request_id, EXCHANGE: exchange})

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
                message["headers"] = [*message.get("headers", ()), (HEADER, request_id.encode("ascii"))]
                if self._lifecycle.draining:
                    message["headers"].append(LAST)
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except ClientDisconnect:
            exchange.status, exchange.problem = CLIENT_CLOSED, DISCONNECTED
        finally:
            self._access.note(scope, exchange)


class LastNet:
    """Answers bugs with 500, as far as nothing was answered yet; in the log is what went wrong.

    Args:
        app: What answers requests, which have their ids.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Wrap the application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request through; anything else than HTTP as it is."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            await self._app(scope, receive, send)
        except ClientDisconnect:
            raise
        except Exception as error:
            request = Request(scope)
            logger.exception("request %s failed", request.state.request_id, exc_info=not isinstance(error, PassFailed))
            if exchange_of(scope).status:
                raise
            await (await on_bug(request, error))(scope, receive, send)


def request_id_of(scope: Scope) -> str:
    """Take a request's id over as it is where it can't hurt; else make another one, never a mix of both."""
    given = next((value for name, value in scope["headers"] if name == HEADER), b"")
    return given.decode("ascii") if REQUEST_ID.fullmatch(given) else os.urandom(16).hex()
