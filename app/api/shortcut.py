"""A short way to what maps arrays, past what other requests go through: that would cost more than a row's own work."""

import re
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import NamedTuple

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.error_handlers import on_gyoza_error
from app.api.flows import OPERATIONS, answer
from app.api.paths import V2, path_of
from app.api.v2.infer import infer
from app.errors import GyozaError

MODEL = "/models/([^/]+)(?:/versions/([^/]+))?"
ENDPOINT = "gyoza.endpoint"


class Way(NamedTuple):
    """One short way."""

    prefix: re.Pattern[str]
    """What comes before the last slash of a path, with the model and the version as its groups."""
    endpoint: Callable[[Request], Awaitable[ASGIApp]]


FLOWS, INFER = re.compile(f"(?:{MODEL})?"), re.compile(V2 + MODEL)
WAYS: Mapping[str, Way] = MappingProxyType(
    {**{operation.name: Way(FLOWS, partial(answer, operation)) for operation in OPERATIONS}, "infer": Way(INFER, infer)}
)
"""By what comes after the last slash of a path."""


class Shortcut:
    """Answers what has a short way, just as the routes would, and passes everything else on.

    Args:
        app: What answers everything else.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Stand in front of an application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        found = found_in(scope) if scope.get("method") == "POST" else None
        if found is None:
            await self._app(scope, receive, send)
            return
        scope[ENDPOINT], scope["path_params"] = found
        await answer_quickly(scope, receive, send)


def found_in(scope: Scope) -> tuple[Callable[[Request], Awaitable[ASGIApp]], dict[str, str | None]] | None:
    """Return the endpoint and the path parameters of a request that has a short way."""
    prefix, slash, name = path_of(scope).rpartition("/")
    way = WAYS.get(name)
    place = way.prefix.fullmatch(prefix) if way and slash else None
    if way is None or place is None:
        return None
    model, version = place.groups()
    return way.endpoint, {"model": model, "version": version}


async def answer_quickly(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer, or say what was wrong with the request."""
    request = Request(scope, receive)
    response: ASGIApp
    try:
        response = await scope[ENDPOINT](request)
    except GyozaError as error:
        response = await on_gyoza_error(request, error)
    await response(scope, receive, send)
