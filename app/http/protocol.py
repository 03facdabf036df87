"""What speaks HTTP on one connection: uvicorn's protocol, which trusts its clients, and what it takes not to."""

import asyncio
import logging
import urllib.parse
from typing import TYPE_CHECKING, Any, cast

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from app.api.refusals import REFUSAL
from app.errors import GyozaError, SlowHead
from app.exchange import UNKNOWN
from app.http import limits
from app.http.cycle import Cycle, Wire
from app.http.taking import Taking, waiting_in

if TYPE_CHECKING:
    from uvicorn._types import HTTPScope

logger = logging.getLogger("gyoza.http")

VERSION = "1.1"


class Trailers(list[tuple[bytes, bytes]]):
    """Takes the headers that follow a body, which nobody here asks for: they must not pass for those before it."""

    def append(self, _: tuple[bytes, bytes]) -> None:
        """Forget one."""


TRAILERS = Trailers()


class Protocol(HttpToolsProtocol):
    """Speaks HTTP on one connection.

    Args:
        config: How uvicorn serves.
        server_state: What all connections share.
        app_state: What the application's lifespan gave.
        _loop: The loop; by default the one that runs.
    """

    cycle: Cycle

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """Wait for a connection."""
        super().__init__(config, server_state, app_state, _loop)
        self._in_head = False
        """Whether the scope is that of a head whose end has not come."""
        self._advanced = False
        """Whether the piece that was read last began or ended anything, or had a part of a body."""
        self._idle_bytes = 0
        """How many bytes came since then."""
        self._deaf = False
        """Whether whatever comes is thrown away."""
        self._left = False
        """Whether all was answered that will be."""
        self._since = 0.0
        """When what is awaited of the client began to be."""
        self._taking = Taking()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin."""
        super().connection_made(transport)
        self._wire = Wire(transport, self.leave)
        self._since = self.loop.time()
        self._look_later()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read what the client sent."""
        if self._deaf:
            return
        self._advanced = False
        try:
            self._parse(data)
        except httptools.HttpParserError as error:
            cause = error.__context__
            self._refuse(cause if isinstance(cause, GyozaError) else limits.malformed(str(error) or "something else"))
            return
        if not self._advanced:
            self._idle_bytes += len(data)
            if self._idle_bytes > limits.MOST_HEAD:
                self._refuse(limits.head_too_large(f"{self._idle_bytes} bytes without an end"))
            return
        self._idle_bytes = 0
        if self._in_head:
            self._since = self.loop.time()

    def _parse(self, data: bytes) -> None:
        """Feed the parser. A head that asks for another protocol is read again without that, so that its body is one."""
        while True:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                self.parser = httptools.HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
                data = self._head_without_upgrade() + data[upgrade.args[0] :]
            else:
                return

    def _head_without_upgrade(self) -> bytes:
        lines = [b"%s %s HTTP/%s" % (self.scope["method"].encode(), self.url, self.scope["http_version"].encode())]
        lines += [b"%s: %s" % (name, value) for name, value in self.headers if name not in {b"connection", b"upgrade"}]
        return b"\r\n".join([*lines, b"", b""])

    def on_message_begin(self) -> None:
        """Begin a head."""
        self._in_head = self._advanced = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Have the request answered, in its turn."""
        parser, scope = self.parser, self.scope
        method, version = parser.get_method(), parser.get_http_version()
        scope["method"], scope["http_version"] = method.decode("ascii"), version
        if method == b"CONNECT":
            raise limits.malformed("CONNECT, and this is no proxy")
        limits.check_head(version, self.url, self.headers)
        target = httptools.parse_url(self.url)
        raw_path = target.path or b"/"
        path = raw_path.decode("ascii")
        scope["path"] = urllib.parse.unquote(path) if "%" in path else path
        scope["raw_path"], scope["query_string"] = raw_path, target.query or b""
        if parser.should_upgrade():
            return
        if len(self.pipeline) >= limits.MOST_AHEAD:
            raise limits.malformed(f"more than {limits.MOST_AHEAD} requests before the first answer")
        self._in_head, self._advanced, self.headers = False, True, TRAILERS
        self._queue(version == VERSION and parser.should_keep_alive())

    def _queue(self, keep_alive: bool) -> None:
        """Have the scope's request answered when those before it are."""
        last = self.cycle
        self.cycle = Cycle(
            scope=self.scope,
            transport=self._wire,  # type: ignore[arg-type]
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=keep_alive,
            on_response=self.on_response_complete,
        )
        if last is None or last.response_complete:
            self._start_asgi_task(self.cycle, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))

    def on_body(self, body: bytes) -> None:
        """Give a part of the body to who reads it."""
        self._advanced = True
        cycle = self.cycle
        if cycle.response_complete:
            return
        cycle.body += body
        if len(cycle.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        cycle.message_event.set()

    def on_message_complete(self) -> None:
        """Note that the body has come whole."""
        if self.parser.should_upgrade():
            return
        self._advanced = True
        self.cycle.more_body = False
        if not self.cycle.response_complete:
            self.cycle.message_event.set()

    def on_response_complete(self) -> None:
        """Go on with the next request, or wait for one."""
        self.server_state.total_requests += 1
        if self._left or self.transport.is_closing():
            return
        self.flow.resume_reading()
        self._since = self.loop.time()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())

    def _refuse(self, error: GyozaError) -> None:
        """Hear no more, and answer with an error: to the request whose body this is, or else as a request of its own."""
        self._deaf = True
        if not self._in_head and self.cycle is not None and self.cycle.more_body:
            self.cycle.fail(error)
            return
        if not self._in_head:
            self.on_message_begin()
        path = self.url.partition(b"?")[0][: limits.MOST_SHOWN].decode("latin-1") or UNKNOWN
        known = {"method": UNKNOWN, "path": path, "raw_path": b"", "query_string": b"", **self.scope, REFUSAL: error}
        self.scope = cast("HTTPScope", known)
        self.expect_100_continue = False
        self._queue(keep_alive=False)

    def leave(self) -> None:
        """Close the connection, but hear the client out for a while if there is more to come."""
        if self._left or self.transport.is_closing():
            return
        self._since = self.loop.time()
        if not self._deaf and not self.cycle.more_body:
            self.transport.close()
            return
        self._deaf = self._left = True
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()

    def _look_later(self) -> None:
        self._due = self.loop.time() + limits.LOOK_EVERY_S
        self._timer = self.loop.call_at(self._due, self._look)

    def _look(self) -> None:
        """See to it that the client does what it must, but for the time in which this process stood still."""
        now = self.loop.time()
        pause = max(0.0, now - self._due)
        self._since = min(now, self._since + pause)
        self._taking.forgive(pause)
        self._look_later()
        runs = self._runs()
        waiting = waiting_in(self.transport) if not runs or self.transport.get_write_buffer_size() else 0
        if self._taking.is_stuck(waiting, now):
            logger.info("a connection was cut off: its client took too little of %d bytes for too long", waiting)
            self.transport.abort()
        elif waiting and not runs:
            self._since = now
        elif now - self._since > self._patience():
            self._lose_patience()

    def _runs(self) -> bool:
        """Whether a request is being answered."""
        return not self._left and self.cycle is not None and not self.cycle.response_complete

    def _patience(self) -> float:
        """How many seconds may pass with what is awaited of the client."""
        if self.transport.is_closing():
            return limits.FAREWELL_TIMEOUT_S
        if self._left:
            return limits.LINGER_S
        if self._runs():
            return float("inf")
        if self._in_head or self.cycle is None:
            return limits.HEAD_TIMEOUT_S
        return limits.LINGER_S if self.cycle.more_body else limits.KEEP_ALIVE_S

    def _lose_patience(self) -> None:
        if self.transport.is_closing():
            self.transport.abort()
        elif self._in_head and not self._left:
            self._refuse(slow_head())
        else:
            self._since = self.loop.time()
            self.transport.close()


def slow_head() -> SlowHead:
    """Say that a head takes too long."""
    return SlowHead(
        f"The head of a request must arrive within {limits.HEAD_TIMEOUT_S:g} s. Received: no end of it. Send it at once."
    )
