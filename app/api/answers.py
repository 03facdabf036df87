"""Answers of the flow endpoints: their bytes, and no more headers than they need."""

from dataclasses import dataclass

from starlette.types import Receive, Scope, Send

from app.timings import Timings


@dataclass(frozen=True)
class Answer:
    """An answer with the status 200."""

    content: bytes
    media_type: str
    timings: Timings
    """How long the parts took, of which the client is told."""
    coding: str | None = None
    """How the content is compressed."""
    extra: tuple[tuple[bytes, bytes], ...] = ()
    """Further headers."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        headers = [
            (b"content-type", self.media_type.encode("ascii")),
            (b"content-length", b"%d" % len(self.content)),
            (b"vary", b"Accept, Accept-Encoding"),
            (b"server-timing", server_timing(self.timings)),
            *self.extra,
        ]
        if self.coding:
            headers.append((b"content-encoding", self.coding.encode("ascii")))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": self.content})


def server_timing(timings: Timings) -> bytes:
    """Tell the parts of a request in milliseconds, as the header ``Server-Timing`` does."""
    return b"decode;dur=%.3f, queue;dur=%.3f, compute;dur=%.3f, encode;dur=%.3f" % (
        1e3 * timings.decode,
        1e3 * timings.queue,
        1e3 * timings.compute,
        1e3 * timings.encode,
    )
