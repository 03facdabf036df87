"""Requests that were refused before they were whole: they get an id, a line in the log and an answer as all others."""

from collections.abc import Awaitable

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.error_handlers import on_gyoza_error

REFUSAL = "gyoza.refusal"
"""Where the scope of such a request holds the error, a ``GyozaError``, to answer it with."""


class Refusals:
    """Answers requests that were refused, and passes everything else on.

    Args:
        app: What answers everything else.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Stand in front of an application."""
        self._app = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Answer a request."""
        return (refuse if REFUSAL in scope else self._app)(scope, receive, send)


async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request that was refused."""
    response = await on_gyoza_error(Request(scope), scope[REFUSAL])
    await response(scope, receive, send)
