"""Reading a request's body: which codec, how much, how long."""

import asyncio
import time

from starlette.requests import Request

from app.codecs import CODECS, Codec
from app.errors import DeadlineExceeded, TooLarge, UnsupportedMediaType
from app.settings import Settings

JSON = "application/json"
LENGTH_DIGITS = 18
"""So many digits of a Content-Length are more than any limit."""


def codec_of(request: Request) -> Codec:
    """Choose the codec by the content type; a body without one is taken for JSON.

    Raises:
        UnsupportedMediaType: No codec reads the content type, or the body is encoded.
    """
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"", "identity"}:
        raise UnsupportedMediaType(f"A body must come without Content-Encoding. Received: {encoding}. Send it plain.")
    received = request.headers.get("content-type", JSON)
    media_type = received.partition(";")[0].strip().lower()
    if media_type.startswith("application/") and media_type.endswith("+json"):
        media_type = JSON
    codec = CODECS.get(media_type)
    if codec is None:
        accepted = ", ".join(CODECS)
        raise UnsupportedMediaType(
            f"The Content-Type must be one of: {accepted}. Received: {received or 'none'}. Send the body as one of these."
        )
    return codec


def body_limit(codec: Codec, settings: Settings) -> tuple[int, str]:
    """Return how many bytes a body for a codec may have, and the setting that says so."""
    if codec.media_type == JSON and settings.max_json_bytes < settings.max_body_bytes:
        return settings.max_json_bytes, "GYOZA_MAX_JSON_BYTES"
    return settings.max_body_bytes, "GYOZA_MAX_BODY_BYTES"


async def read_body(request: Request, limit: int, setting: str, deadline: float) -> list[bytes]:
    """Read a body in the pieces that arrive, and of a larger one no more than the limit.

    Args:
        request: The request.
        limit: The most bytes.
        setting: The setting that holds the limit, for the refusal.
        deadline: On the clock of ``time.monotonic``.

    Returns:
        The pieces; joining large ones takes long enough to be left to whoever parses them.

    Raises:
        TooLarge: The body is larger than the limit, as declared or as it arrives.
        DeadlineExceeded: It did not arrive in time.
    """
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared[:LENGTH_DIGITS]) > limit:
        raise too_large(limit, setting, f"a Content-Length of {declared}")
    chunks, size = [], 0
    try:
        async with asyncio.timeout(deadline - time.monotonic()):
            async for chunk in request.stream():
                size += len(chunk)
                if size > limit:
                    raise too_large(limit, setting, f"at least {size} bytes")
                chunks.append(chunk)
    except TimeoutError as error:
        raise DeadlineExceeded(
            f"The body must arrive within the request's deadline. Received: {size} bytes by then. Send it faster."
        ) from error
    return chunks


def too_large(limit: int, setting: str, received: str) -> TooLarge:
    """Say that a body is too large."""
    return TooLarge(
        f"A body may have at most {limit} bytes. Received: {received}. Send fewer rows at once, or base64 tensors, "
        f"or raise {setting}."
    )
