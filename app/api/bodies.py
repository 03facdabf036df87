"""Reading a request's body: which codec, how much, how long, how compressed."""

import asyncio
import time
from collections.abc import Mapping, Sequence

from starlette.requests import ClientDisconnect
from starlette.types import Receive

from app.api.inflation import CODINGS, inflated
from app.api.intake import Portion
from app.codecs import CODECS, Codec
from app.errors import DeadlineExceeded, TooLarge, UnsupportedMediaType
from app.settings import Settings

JSON = "application/json"
LENGTH_DIGITS = 18
"""So many digits of a Content-Length are more than any limit."""


def codec_of(headers: Mapping[str, str], codecs: Mapping[str, Codec] = CODECS) -> Codec:
    """Choose the codec by the content type; a body without one is taken for JSON.

    Args:
        headers: The request's.
        codecs: Those to choose from, by media type.

    Raises:
        UnsupportedMediaType: No codec reads the content type.
    """
    received = headers.get("content-type", JSON)
    codec = codecs.get(received)
    if codec is None:
        media_type = received.partition(";")[0].strip().lower()
        if media_type.startswith("application/") and media_type.endswith("+json"):
            media_type = JSON
        codec = codecs.get(media_type)
    if codec is None:
        accepted = ", ".join(codecs)
        raise UnsupportedMediaType(
            f"The Content-Type must be one of: {accepted}. Received: {received or 'none'}. Send the body as one of these."
        )
    return codec


def coding_of(headers: Mapping[str, str]) -> str | None:
    """Return how a body is compressed, None if it is not.

    Raises:
        UnsupportedMediaType: By something else than what is inflated here, or more than once.
    """
    received = headers.get("content-encoding")
    if received is None:
        return None
    codings = [name for item in received.split(",") if (name := item.strip().lower()) not in {"", "identity"}]
    if not codings:
        return None
    coding = codings[0].removeprefix("x-")
    if len(codings) > 1 or coding not in CODINGS:
        raise UnsupportedMediaType(
            f"The Content-Encoding must be one of: {', '.join(CODINGS)}, once. Received: {received}. Send the body as one "
            "of these, or plain."
        )
    return coding


def body_limit(settings: Settings, *, is_json: bool) -> tuple[int, str]:
    """Return how many bytes a body may have, and the setting that says so."""
    if is_json and settings.max_json_bytes < settings.max_body_bytes:
        return settings.max_json_bytes, "GYOZA_MAX_JSON_BYTES"
    return settings.max_body_bytes, "GYOZA_MAX_BODY_BYTES"


async def read_body(
    receive: Receive, headers: Mapping[str, str], limit: tuple[int, str], deadline: float, portion: Portion
) -> list[bytes]:
    """Read a body in the pieces that arrive, and of a larger one no more than the limit.

    Args:
        receive: Where the pieces come from.
        headers: The request's.
        limit: The most bytes, and the setting that says so.
        deadline: On the clock of ``time.monotonic``.
        portion: What the body takes of all that may be on its way.

    Returns:
        The pieces; joining large ones takes long enough to be left to whoever parses them.

    Raises:
        TooLarge: The body is larger than the limit, as declared or as it arrives.
        Overloaded: Too much is on its way.
        DeadlineExceeded: It did not arrive in time.
        ClientDisconnect: The client left before it arrived.
    """
    declared = headers.get("content-length", "")
    most, setting = limit
    if declared.isdecimal() and int(declared[:LENGTH_DIGITS]) > most:
        raise too_large(most, setting, f"a Content-Length of {declared}")
    pieces: list[bytes] = []
    size, more = 0, True
    try:
        async with asyncio.timeout(deadline - time.monotonic()):
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientDisconnect
                piece, more = message.get("body", b""), message.get("more_body", False)
                size += len(piece)
                if size > most:
                    raise too_large(most, setting, f"at least {size} bytes")
                portion.take(len(piece))
                pieces.append(piece)
    except TimeoutError as error:
        raise DeadlineExceeded(
            f"The body must arrive within the request's deadline. Received: {size} bytes by then. Send it faster."
        ) from error
    return pieces


def joined(pieces: Sequence[bytes], coding: str | None, limit: int, setting: str) -> bytes:
    """Put the pieces of a body together, inflated where it was compressed.

    Raises:
        TooLarge: It is larger than the limit once it is inflated; no more than that of it was.
        MalformedBody: It can't be inflated.
    """
    body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
    if coding is None:
        return body
    steps, size = [], 0
    for step in inflated(body, coding):
        size += len(step)
        if size > limit:
            raise too_large(limit, setting, f"{len(body)} bytes of {coding} that hold more")
        steps.append(step)
    return b"".join(steps)


def too_large(limit: int, setting: str, received: str) -> TooLarge:
    """Say that a body is too large."""
    return TooLarge(
        f"A body may have at most {limit} bytes. Received: {received}. Send fewer rows at once, or base64 tensors, "
        f"or raise {setting}."
    )
