"""One table: error → status. Everything a client is told when something is wrong goes through here.

Below /v2 the Open Inference Protocol has its own shape of errors, and 400 for all that is wrong with an input.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from app.api.exchange import exchange_of
from app.api.inflation import CODINGS
from app.api.paths import is_v2
from app.errors import (
    Conflict,
    DeadlineExceeded,
    FieldError,
    Forbidden,
    GyozaError,
    HeadTooLarge,
    InvalidInput,
    MalformedBody,
    MalformedRequest,
    NotFound,
    NotReady,
    Overloaded,
    SlowHead,
    TooLarge,
    TryLater,
    Unauthorized,
    UnsupportedMediaType,
    sendable,
)

MEDIA_TYPE = "application/problem+json"
LONGEST_TEXT = 2000
"""In characters: a text may repeat what a client sent, but not all of it."""
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


@dataclass(frozen=True)
class Kind:
    """What one kind of problem is called, and its status."""

    status: int
    name: str
    title: str


KINDS: Mapping[type[GyozaError], Kind] = MappingProxyType(
    {
        MalformedRequest: Kind(400, "malformed-request", "The request is no HTTP"),
        MalformedBody: Kind(400, "malformed-body", "The body can't be decoded"),
        Unauthorized: Kind(401, "unauthorized", "An API key is needed"),
        Forbidden: Kind(403, "forbidden", "This is not allowed"),
        NotFound: Kind(404, "not-found", "There is no such thing"),
        SlowHead: Kind(408, "request-timeout", "The request takes too long to arrive"),
        Conflict: Kind(409, "conflict", "The model is not fit for this"),
        TooLarge: Kind(413, "too-large", "The request is too large"),
        UnsupportedMediaType: Kind(415, "unsupported-media-type", "The body's type or encoding is not read here"),
        InvalidInput: Kind(422, "invalid-input", "The input breaks a rule"),
        HeadTooLarge: Kind(431, "head-too-large", "The head of the request is too large"),
        Overloaded: Kind(429, "overloaded", "Too much is waiting"),
        NotReady: Kind(503, "not-ready", "Not ready"),
        DeadlineExceeded: Kind(504, "deadline-exceeded", "No answer in time"),
    }
)
METHOD_NOT_ALLOWED = Kind(405, "method-not-allowed", "The method is not allowed here")
INTERNAL = Kind(500, "internal", "A bug in this service")
RETRIED = frozenset({429, 503})
V2_STATUS = {422: 400}
"""The protocol knows no 422."""
CORRECT = "Correct what is named; the page /docs shows what each field takes."


def problem(
    request: Request,
    kind: Kind,
    detail: str,
    errors: Sequence[FieldError] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Write a problem after RFC 9457, and note its kind; below /v2, an error as the Open Inference Protocol has it."""
    exchange_of(request.scope).problem = kind.name
    if is_v2(request.scope):
        return v2_error(request, kind, detail, headers)
    content = {
        "type": f"urn:gyoza:{kind.name}",
        "title": kind.title,
        "status": kind.status,
        "detail": plain(detail),
        "errors": [{"field": plain(error.field), "message": plain(error.message)} for error in errors],
        "request_id": request.state.request_id,
    }
    return Response(orjson.dumps(content), kind.status, headers, MEDIA_TYPE)


def v2_error(request: Request, kind: Kind, detail: str, headers: Mapping[str, str] | None) -> Response:
    """Write an error of the Open Inference Protocol; what is not ready says that too."""
    content: dict[str, object] = {"error": plain(detail), "code": kind.name, "request_id": request.state.request_id}
    if kind is KINDS[NotReady]:
        content["ready"] = False
    return Response(orjson.dumps(content), V2_STATUS.get(kind.status, kind.status), headers, "application/json")


def plain(text: str) -> str:
    """Return a text that can be sent, of bounded length."""
    half = LONGEST_TEXT // 2
    cut = text if len(text) <= LONGEST_TEXT else f"{text[:half]} … {text[-half:]}"
    return sendable(cut)


async def on_gyoza_error(request: Request, error: Exception) -> Response:
    """Answer an error of the tree."""
    kind = KINDS[type(error)]  # type: ignore[index]
    errors = error.errors if isinstance(error, InvalidInput) else ()
    detail, headers = f"{error}. {CORRECT}" if errors else str(error), {}
    if isinstance(error, TryLater) and kind.status in RETRIED:
        headers["Retry-After"] = str(error.retry_after)
    if isinstance(error, Unauthorized):
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, TooLarge | Unauthorized):
        headers["Connection"] = "close"  # The rest of the body is not read.
    if isinstance(error, UnsupportedMediaType) and is_v2(request.scope):
        headers["Accept-Encoding"] = ", ".join(CODINGS)  # There the type plays no role.
    return problem(request, kind, detail, errors, headers)


async def on_http_error(request: Request, error: Exception) -> Response:
    """Answer what the router found wrong: the path, or the method."""
    path, status = request.scope["path"], error.status_code if isinstance(error, HTTPException) else 404
    if status == METHOD_NOT_ALLOWED.status:
        allowed = ", ".join(allowed_methods(request))
        detail = f"{path} must be asked with one of: {allowed}. Received: {request.method}. Use one of these."
        return problem(request, METHOD_NOT_ALLOWED, detail, headers={"Allow": allowed})
    return problem(request, KINDS[NotFound], f"There is no path {path}. The page /docs lists those that exist.")


async def on_bug(request: Request, error: Exception) -> Response:
    """Answer an error that nobody foresaw, without telling of the inside."""
    detail = (
        "The request may be fine; the service is not. The log has the details under the request id; please report it."
    )
    return problem(request, INTERNAL, detail)


def allowed_methods(request: Request) -> list[str]:
    """Return every method that the request's path answers."""
    routes = request.app.router.routes
    return [
        method
        for method in METHODS
        if any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in routes)
    ]
