"""A short way to the flow endpoints, past what other requests go through: that would cost more than a row's own work."""

import re

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.error_handlers import on_gyoza_error
from app.api.flows import OPERATIONS, answer
from app.api.prefix import path_of
from app.errors import GyozaError

BY_NAME = {operation.name: operation for operation in OPERATIONS}
PATH = re.compile(rf"(?:/models/([^/]+)(?:/versions/([^/]+))?)?/({'|'.join(BY_NAME)})")
OPERATION = "gyoza.operation"


class Shortcut:
    """Answers the flow endpoints, just as their routes would, and passes everything else on.

    Args:
        app: What answers everything else.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Stand in front of an application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        found = PATH.fullmatch(path_of(scope)) if scope.get("method") == "POST" else None
        if found is None:
            await self._app(scope, receive, send)
            return
        model, version, scope[OPERATION] = found.groups()
        scope["path_params"] = {"model": model, "version": version}
        await answer_flow(scope, receive, send)


async def answer_flow(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer one operation, or say what was wrong with the request."""
    request = Request(scope, receive)
    response: ASGIApp
    try:
        response = await answer(BY_NAME[scope[OPERATION]], request)
    except GyozaError as error:
        response = await on_gyoza_error(request, error)
    await response(scope, receive, send)
