"""Who may come in: whoever has a key, and nobody's body is read before that is known."""

from collections.abc import Iterable, Iterator
from itertools import islice

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.access import KEY
from app.api.doors import Doors, doors_of
from app.api.error_handlers import on_gyoza_error
from app.api.paths import path_of
from app.errors import Unauthorized
from app.keys import KeyRing
from app.settings import Settings

MOST_SENT = 2
"""So many keys of a request are looked at, lest one request asks for thousands of digests."""


class Gate:
    """Lets requests through that carry a key, or need none.

    Args:
        app: What answers them.
        keys: Those that are known.
        doors: Which paths need one.
    """

    def __init__(self, app: ASGIApp, keys: KeyRing, doors: Doors) -> None:
        """Stand in front of an application."""
        self._app = app
        self._keys = keys
        self._doors = doors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it; anything else than HTTP as it is."""
        if scope["type"] == "http":
            sent = list(islice(sent_keys(scope["headers"]), MOST_SENT))
            scope[KEY] = self._keys.owner(sent)
            if scope[KEY] is None and self._doors.need_key(path_of(scope)):
                response = await on_gyoza_error(Request(scope), refusal(sent))
                await response(scope, receive, send)
                return
        await self._app(scope, receive, send)


def sent_keys(headers: Iterable[tuple[bytes, bytes]]) -> Iterator[bytes]:
    """Yield the keys that headers carry."""
    for name, value in headers:
        if name == b"authorization":
            scheme, _, key = value.partition(b" ")
            if scheme.lower() == b"bearer":
                yield key.strip()
        elif name == b"x-api-key":
            yield value.strip()


def refusal(sent: list[bytes]) -> Unauthorized:
    """Say that a key is needed; never which one came."""
    received = "one that is not known here" if sent else "none"
    return Unauthorized(
        "A request must carry an API key, as Authorization: Bearer KEY or as X-API-Key: KEY. "
        f"Received: {received}. Ask whoever runs this service for a key."
    )


def guard(app: ASGIApp, settings: Settings) -> ASGIApp:
    """Put a gate in front of an application where the settings name keys.

    Raises:
        KeysFileError: A file of keys can't be read.
    """
    if not settings.has_keys:
        return app
    return Gate(app, KeyRing(settings.api_keys_file, settings.admin_keys_file), doors_of(settings))
