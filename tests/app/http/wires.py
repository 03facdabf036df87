"""Raw connections to a tiny application behind the protocol."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ssl import SSLContext

import uvicorn
from starlette.requests import Request
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from app.api.access import AccessLog
from app.api.error_handlers import on_gyoza_error
from app.api.middleware import LastNet, RequestMiddleware
from app.api.refusals import Refusals
from app.errors import GyozaError
from app.http.protocol import Protocol

SECONDS = 20


@dataclass
class World:
    """A server, and what it was asked."""

    port: int
    state: ServerState
    asked: list[str]

    async def ask(self, *pieces: bytes) -> bytes:
        """Send pieces, a moment apart, and return all that comes until the server closes the connection."""
        reader, writer = await self.connect()
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(0.01)
        return await rest(reader, writer)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a connection."""
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def is_asked(self) -> None:
        """Wait until it was asked something."""
        async with asyncio.timeout(SECONDS):
            while not self.asked:
                await asyncio.sleep(0.01)

    async def is_empty(self) -> None:
        """Wait until no connection is left."""
        async with asyncio.timeout(SECONDS):
            while self.state.connections:
                await asyncio.sleep(0.01)


async def rest(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """Read all until the server closes the connection, then do so too."""
    async with asyncio.timeout(SECONDS):
        found = await reader.read()
    writer.close()
    await writer.wait_closed()
    return found


@asynccontextmanager
async def listening(tls: SSLContext | None = None) -> AsyncIterator[World]:
    """A server of a tiny application on a free port."""
    asked: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        asked.append(f"{scope['method']} {scope['path']}")
        body = b""
        if not scope["path"].startswith("/ignore"):
            more = True
            while more:
                message = await receive()
                body += message.get("body", b"")
                more = message.get("more_body", False)
        answer = bytes(int(body)) if scope["path"] == "/zeros" else b"%s [%s]" % (asked[-1].encode(), body)
        headers = [(b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})
        if scope["path"].endswith("/fail"):
            raise RuntimeError("a bug behind the answer")

    async def answering(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await app(scope, receive, send)
        except GyozaError as error:
            await (await on_gyoza_error(Request(scope), error))(scope, receive, send)

    outer = RequestMiddleware(LastNet(Refusals(answering)), AccessLog())
    config = uvicorn.Config(outer, http=Protocol, lifespan="off", log_config=None, access_log=False)
    state = ServerState()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Protocol(config, state, {}), "127.0.0.1", 0, ssl=tls)
    async with server:
        yield World(server.sockets[0].getsockname()[1], state, asked)
        for connection in list(state.connections):
            connection.transport.abort()
