"""How long a connection may take for what, and how much it may bring before there is a request.

Bodies are not bounded here but where they are read, by the settings and the request's deadline.
"""

from collections.abc import Sequence

from app.errors import HeadTooLarge, MalformedRequest

HEAD_TIMEOUT_S = 10.0
"""From a connection's begin, or the first byte of a head, to the end of that head."""
TAKE_TIMEOUT_S = 30.0
"""In so long a client must take ``LEAST_TAKEN`` bytes of what waits for it, or is cut off."""
LEAST_TAKEN = 2**16
KEEP_ALIVE_S = 5.0
"""So long a connection without a request is kept, once its client has taken the last answer."""
FAREWELL_TIMEOUT_S = 30.0
"""So long a client that has taken everything may take to say farewell, as TLS wants it."""
LINGER_S = 5.0
"""So long the rest of what a client sends is thrown away before its connection is closed: closed at once, it would be reset,
and the answer lost on its way."""
LOOK_EVERY_S = 1.0
"""Every connection is looked at so often; the bounds above are as coarse."""
MOST_HEAD = 2**16
"""Bytes of a head; also those of a body's trailers, or between two requests."""
MOST_HEADERS = 100
MOST_SHOWN = 200
"""Bytes of a refused request's path in the log."""
MOST_DRAINED = 2**16
"""A body of at most so many bytes that was not read is thrown away, and the connection kept."""
MOST_AHEAD = 64
"""Requests that a client sends before it has the answer to the first one."""

VERSIONS = frozenset({"1.0", "1.1"})


def check_head(version: str, url: bytes, headers: Sequence[tuple[bytes, bytes]]) -> None:
    """Refuse a head that is too large, or that two servers might read in two ways; the parser refuses most of those.

    Raises:
        HeadTooLarge: It has too many bytes or headers.
        MalformedRequest: It names no host, or more than one, or is of another protocol.
    """
    size, hosts = len(url), 0
    for name, value in headers:
        size += len(name) + len(value)
        if name == b"host":
            hosts += 1
        elif name == b"transfer-encoding" and value.lower() != b"chunked":
            raise malformed("a Transfer-Encoding other than chunked")
    if size > MOST_HEAD or len(headers) > MOST_HEADERS:
        raise head_too_large(f"{len(headers)} headers, {size} bytes in all")
    if hosts > 1 or (hosts == 0 and version == "1.1"):
        raise malformed(f"{hosts} Host headers, where there must be one")
    if version not in VERSIONS:
        raise malformed(f"HTTP/{version}")


def head_too_large(received: str) -> HeadTooLarge:
    """Say that a head is too large."""
    return HeadTooLarge(
        f"The head of a request may have at most {MOST_HEAD} bytes and {MOST_HEADERS} headers. Received: {received}. "
        "Send less in cookies and headers of your own."
    )


def malformed(reason: str) -> MalformedRequest:
    """Say that a request is no HTTP."""
    return MalformedRequest(
        f"A request must be HTTP/1.1 as RFC 9112 writes it. Received: {reason}. Send it by an HTTP client."
    )
