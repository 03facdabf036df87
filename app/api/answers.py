"""Answers of the flow endpoints: their bytes, and no more headers than they need."""

import zlib
from dataclasses import dataclass

from starlette.types import Receive, Scope, Send

GZIP = "gzip"
WORTH_IT = 1024
"""An answer of fewer bytes fits into one packet as it is."""
QUICKEST = 1
"""The level of compression: higher ones make digits little shorter in several times the time."""


@dataclass(frozen=True)
class Answer:
    """An answer with the status 200."""

    content: bytes
    media_type: str
    coding: str | None = None
    """How the content is compressed."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        headers = [
            (b"content-type", self.media_type.encode("ascii")),
            (b"content-length", b"%d" % len(self.content)),
            (b"vary", b"Accept, Accept-Encoding"),
        ]
        if self.coding:
            headers.append((b"content-encoding", self.coding.encode("ascii")))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": self.content})


def gzipped(content: bytes) -> bytes:
    """Compress."""
    return zlib.compress(content, QUICKEST, wbits=16 + zlib.MAX_WBITS)
