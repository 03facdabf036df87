"""The one place where httpx's requests, answers and errors become this package's."""

import ssl
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

import httpx

from gyoza.client.errors import (
    ConnectionFailed,
    GyozaClientError,
    NotTrusted,
    TimedOut,
    UnexpectedAnswer,
    UnsendableRequest,
)
from gyoza.client.messages import Answer, Request

__all__ = ["ERRORS", "answer_of", "headers_of", "to_httpx", "translated"]

ERRORS: Mapping[type[Exception], type[GyozaClientError]] = MappingProxyType(
    {
        # The first that fits is taken: what is special comes before what it is a case of.
        httpx.ConnectTimeout: ConnectionFailed,
        httpx.TimeoutException: TimedOut,
        httpx.UnsupportedProtocol: UnsendableRequest,
        httpx.LocalProtocolError: UnsendableRequest,
        httpx.TransportError: ConnectionFailed,
        httpx.HTTPError: UnexpectedAnswer,
        httpx.StreamError: UnexpectedAnswer,
        httpx.CookieConflict: UnexpectedAnswer,
        httpx.InvalidURL: UnsendableRequest,
    }
)
DEFAULTS = {
    "user-agent": "gyoza-client",
    # Compressed floats are hardly shorter, and the service would take longer over them than most networks.
    "accept-encoding": "identity",
}


@contextmanager
def translated(request: Request, url: str) -> Iterator[None]:
    """Turn httpx's errors into those of this package."""
    before = sys.exception()
    try:
        yield
    except tuple(ERRORS) as error:
        found = (
            NotTrusted
            if is_distrust(error, before)
            else next(ERRORS[kind] for kind in ERRORS if isinstance(error, kind))
        )
        text = str(error) or "no words"
        raise found(f"{request} at {url} got no answer of the service: {type(error).__name__}, {text}") from error


def is_distrust(error: BaseException | None, before: BaseException | None) -> bool:
    """Whether an error is of a certificate that was not trusted, at whatever depth httpx was told; not one from before."""
    if error is None or error is before:
        return False
    return isinstance(error, ssl.SSLCertVerificationError) or is_distrust(error.__cause__ or error.__context__, before)


def to_httpx(request: Request, url: str, headers: Mapping[str, str]) -> dict[str, Any]:
    """Return the arguments by which httpx sends a request; headers of the request's own win."""
    return {
        "method": request.method,
        "url": f"{url}{request.path}",
        "params": dict(request.query) or None,
        "headers": {**headers, **request.headers},
        "content": request.content or None,
    }


def answer_of(response: httpx.Response) -> Answer:
    """Take over an answer that was read."""
    return Answer(
        response.status_code, {name.lower(): value for name, value in response.headers.items()}, response.content
    )


def headers_of(api_key: str | None, headers: Mapping[str, str] | None) -> dict[str, str]:
    """Put together what every request says.

    Args:
        api_key: Sent as ``Authorization: Bearer``.
        headers: Further ones; they win.

    Raises:
        ValueError: The key can't be in a header. It is not shown.
    """
    if api_key is not None and not (api_key.isascii() and api_key.isprintable() and api_key.strip() == api_key != ""):
        raise ValueError("api_key must be of printable ASCII, without spaces around it. Received: something else")
    key = {} if api_key is None else {"authorization": f"Bearer {api_key}"}
    return {**DEFAULTS, **key, **{name.lower(): value for name, value in (headers or {}).items()}}
