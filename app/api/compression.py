"""Compressing answers for those who ask for it."""

import zlib
from collections.abc import Mapping
from functools import partial

from app.api.call import beside
from app.api.headers import accepts

WORTH_IT = 1024
"""An answer of fewer bytes fits into one packet as it is."""
QUICKEST = 1
"""The level of compression: higher ones make digits little shorter in several times the time."""
COST = 16
"""Compressing a byte takes as long as parsing or writing so many."""


def gzipped(content: bytes) -> bytes:
    """Compress."""
    return zlib.compress(content, QUICKEST, wbits=16 + zlib.MAX_WBITS)


def deflated(content: bytes) -> bytes:
    """Compress in zlib's wrapping, which is what HTTP means by deflate."""
    return zlib.compress(content, QUICKEST)


COMPRESSED = {"gzip": gzipped, "deflate": deflated}
"""The codings, the one that is preferred first."""


async def compressed(content: bytes, headers: Mapping[str, str]) -> tuple[bytes, str | None]:
    """Compress JSON if the request's headers ask for it and it is worth it: -> content, its coding or None.

    The bytes of floats are hardly shorter compressed; their digits are.
    """
    accepted = headers.get("accept-encoding")
    if accepted is None or len(content) < WORTH_IT:
        return content, None
    coding = next((coding for coding in COMPRESSED if accepts(accepted, coding)), None)
    if coding is None:
        return content, None
    return await beside(COST * len(content), partial(COMPRESSED[coding], content)), coding
