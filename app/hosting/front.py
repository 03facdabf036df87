"""In front of a proxy that passes requests on to replicas: what it answers by itself is told as the service tells it."""

import os
import time
from collections.abc import Mapping
from types import MappingProxyType

from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.error_handlers import on_gyoza_error
from app.api.exchange import EXCHANGE
from app.api.middleware import HEADER, REQUEST_ID
from app.errors import DeadlineExceeded, NotReady, Overloaded, TryLater
from app.exchange import Exchange
from app.hosting.names import named_in

MODEL = b"serve_multiplexed_model_id"
"""The header by which Ray's proxy sends a request to a replica that holds the model."""
PROXYS = "/-/"
"""What the paths begin with that the proxy answers by itself, such as /-/healthz."""
PLAIN = b"text/plain"
RETRY_S = 1
LONGEST_NAME = 128
OWN: Mapping[int, tuple[type[TryLater], str]] = MappingProxyType(
    {
        408: (
            DeadlineExceeded,
            "No replica answered within the time that the proxy allows. Send less at once, or wait.",
        ),
        429: (Overloaded, "More requests wait for a replica than may. Try again."),
        503: (NotReady, "No replica takes requests at this moment. Try again."),
    }
)
"""What the proxy answers by itself, always in plain text, as no answer of the service is."""
LOST = "The replica that had this request ended before it answered. Every call may be repeated: send it again."


def around_proxy() -> list[Middleware]:
    """Return what the environment variable ``RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH`` has Ray put around its proxies."""
    return [Middleware(Front)]


class Front:
    """Names the model of a request in a header, and turns the proxy's own errors into those that clients know.

    Args:
        app: The proxy.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Stand in front of it."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request through; anything else than HTTP as it is, and what asks the proxy itself."""
        if scope["type"] != "http" or scope["path"].startswith(PROXYS):
            await self._app(scope, receive, send)
            return
        request_id = prepare(scope)
        answer = Answering(send)
        await self._app(scope, receive, answer.send)
        if answer.error is not None:
            await tell(answer.error, request_id, scope, receive, send)


class Answering:
    """Sends what the service answered, and keeps what the proxy did.

    Args:
        send: Where answers go.
    """

    def __init__(self, send: Send) -> None:
        """Begin without an answer."""
        self._send = send
        self.error: TryLater | None = NotReady(LOST, RETRY_S)
        """What the client is told in the place of what was sent, if that was no answer of the service."""

    async def send(self, message: Message) -> None:
        """Take a part of the answer."""
        if message["type"] == "http.response.start":
            self.error = own_error(message)
            message["headers"] = once(HEADER, message["headers"])
        if self.error is None:
            await self._send(message)


def prepare(scope: Scope) -> str:
    """Give a request an id that can't hurt, and the name of its model; return the id."""
    headers = [pair for pair in scope["headers"] if pair[0].replace(b"-", b"_") != MODEL]
    given = next((value for name, value in headers if name == HEADER), b"")
    request_id = given if REQUEST_ID.fullmatch(given) else os.urandom(16).hex().encode()
    headers = [*(pair for pair in headers if pair[0] != HEADER), (HEADER, request_id)]
    name = named_in(scope["path"])
    # The router keeps every name that it hears.
    scope["headers"] = [*headers, (MODEL, name.encode())] if name and len(name) <= LONGEST_NAME else headers
    return request_id.decode("ascii")


def own_error(message: Message) -> TryLater | None:
    """Say what is the matter where the proxy answered by itself; None: the service did, or nothing is."""
    headers = dict(message["headers"])
    if message["status"] not in OWN or not headers.get(b"content-type", b"").startswith(PLAIN):
        return None
    kind, text = OWN[message["status"]]
    return kind(text, int(headers.get(b"retry-after", RETRY_S)))


def once(name: bytes, headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return headers with no more than the first of a name."""
    first = next((pair for pair in headers if pair[0].lower() == name), None)
    return [pair for pair in headers if pair is first or pair[0].lower() != name]


async def tell(error: TryLater, request_id: str, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with an error, as the service does."""
    exchange = Exchange(request_id, time.monotonic())
    scope = {**scope, "state": {"request_id": request_id, EXCHANGE: exchange}}
    response = await on_gyoza_error(Request(scope, receive), error)
    response.headers[HEADER.decode()] = request_id
    await response(scope, receive, send)
