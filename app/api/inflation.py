"""Compressed bodies, inflated no further than their limit."""

import zlib
from collections.abc import Iterator

from app.errors import MalformedBody

CODINGS = ("gzip", "deflate")
MOST_RATIO = 1032
"""Deflate makes at most so many bytes of one."""
STEP = 256 * 1024
"""So many bytes, at most, are inflated at a time."""
BLOCK = 64 * 1024
"""So many bytes are taken at a time: each step copies those of them that are left."""
MOST_MEMBERS = 1024
"""A gzip body may have so many members: even one without content costs."""
GZIP, ZLIB, RAW = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS, -zlib.MAX_WBITS
"""How zlib calls the wrappings."""


def inflated(body: bytes, coding: str) -> Iterator[bytes]:
    """Inflate a body step by step, so that whoever counts the bytes can stop.

    Args:
        body: As it came.
        coding: One of ``CODINGS``; a body of gzip may have several members, one of deflate may lack zlib's wrapping.

    Raises:
        MalformedBody: It can't be inflated, breaks off, or goes on behind its end.
    """
    wrapping = wrapping_of(body, coding)
    inflater, members = zlib.decompressobj(wrapping), 1
    for start in range(0, len(body), BLOCK):
        block = body[start : start + BLOCK]
        while block:
            if inflater.eof:
                inflater, members = next_member(wrapping, members)
            yield step(inflater, block, coding)
            block = inflater.unconsumed_tail or inflater.unused_data
    while not inflater.eof:
        rest = step(inflater, b"", coding)
        if not rest:
            raise malformed(coding, "it breaks off")
        yield rest


def wrapping_of(body: bytes, coding: str) -> int:
    """Tell the wrapping; of deflate from the first bytes, of which no encoder makes such as could be both."""
    if coding == "gzip":
        return GZIP
    return ZLIB if body[:1] and body[0] & 15 == 8 and int.from_bytes(body[:2], "big") % 31 == 0 else RAW


def next_member(wrapping: int, members: int) -> "tuple[zlib._Decompress, int]":
    """Begin another member, where there may be one."""
    if wrapping != GZIP:
        raise malformed("deflate", "bytes follow its end")
    if members == MOST_MEMBERS:
        raise malformed("gzip", f"it has more than {MOST_MEMBERS} members")
    return zlib.decompressobj(wrapping), members + 1


def step(inflater: "zlib._Decompress", block: bytes, coding: str) -> bytes:
    """Inflate what gives at most ``STEP`` bytes."""
    try:
        return inflater.decompress(block, STEP)
    except zlib.error as error:
        raise malformed(coding, str(error)) from error


def malformed(coding: str, reason: str) -> MalformedBody:
    """Say that a body is not of its coding."""
    return MalformedBody(
        f"The body must be {coding}, as its Content-Encoding says. It can't be inflated: {reason}. Compress it again, or "
        "send it plain without that header."
    )
