"""What a connection does with what clients send, in pieces, too slowly, too much, or in two ways at once."""

import asyncio
import json
import re
import socket
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import pytest

from app.http import limits
from app.http.cycle import Wire
from tests.app.certificates import make_certificate
from tests.app.http.requests import AMBIGUOUS, chunk, head, statuses
from tests.app.http.wires import SECONDS, World, listening, rest

CLOSE = "Connection: close"


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """A server of a tiny application."""
    async with listening() as found:
        yield found


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look often."""
    monkeypatch.setattr(limits, "LOOK_EVERY_S", 0.02)


def problem_of(answer: bytes) -> dict[str, str]:
    """Return the problem that the last answer tells of."""
    found: dict[str, str] = json.loads(answer.rpartition(b"\r\n\r\n")[2])
    return found


@pytest.mark.parametrize("name", AMBIGUOUS)
async def test_what_can_be_read_in_two_ways_is_refused(world: World, name: str) -> None:
    """It is 400 with a request id, the connection is closed, and what follows is not answered, whatever it is."""
    answer = await world.ask(AMBIGUOUS[name] + head("GET /smuggled"), head("GET /smuggled"))
    assert statuses(answer) == [400]
    problem = problem_of(answer)
    assert problem["type"] == "urn:gyoza:malformed-request"
    assert f"x-request-id: {problem['request_id']}\r\n".encode() in answer
    assert b"\r\nconnection: close\r\n" in answer
    assert "GET /smuggled" not in world.asked


async def test_a_refusal_waits_for_its_turn(world: World) -> None:
    """Requests before a malformed one get their own answers, in order, and then it gets its one."""
    answer = await world.ask(head("POST /1", "Content-Length: 2") + b"ab" + head("GET /2") + b"?\r\n\r\n")
    assert statuses(answer) == [200, 200, 400]
    assert b"POST /1 [ab]" in answer
    assert b"GET /2 []" in answer


async def test_a_broken_body_is_its_own_requests_fault(world: World) -> None:
    """Whoever reads a body whose rest is no HTTP gets the error, under the id of its request; nobody waits for ever."""
    start = head("POST /", "Transfer-Encoding: chunked", "X-Request-ID: mine") + chunk(b"a")
    answer = await world.ask(start, b"?\r\n")
    assert statuses(answer) == [400]
    assert problem_of(answer)["request_id"] == "mine"


async def test_a_broken_body_that_nobody_read_ends_the_connection(world: World) -> None:
    """Where the answer has gone before its body breaks, the connection is closed without another answer."""
    answer = await world.ask(head("POST /ignore", "Transfer-Encoding: chunked"), b"?\r\n")
    assert statuses(answer) == [200]
    short = head("POST /ignore", "Content-Length: 9")
    assert statuses(await world.ask(short, b"123456789", b"?\r\n\r\n")) == [200, 400]


UPGRADES = {
    "a length": (head("POST /", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "Content-Length: 20"), b"{}"),
    "chunks": (
        head("POST /", "Upgrade: websocket", "Connection: keep-alive, upgrade", "Transfer-Encoding: chunked"),
        b"14\r\n{}\r\n0\r\n\r\n",
    ),
}


@pytest.mark.parametrize("name", UPGRADES)
async def test_a_body_behind_an_upgrade_is_a_body(world: World, name: str) -> None:
    """Who asks for another protocol is answered as if not; the body is that request's, and never the next request."""
    start, body = UPGRADES[name]
    smuggled = b"GET /s HTTP/1.1\r\n\r\n "
    request = start + body.replace(b"{}", smuggled)
    for pieces in ([request], [start, request[len(start) :]], [request[:30], request[30:-4], request[-4:]]):
        answer = await world.ask(*pieces, head("GET /next", CLOSE))
        assert statuses(answer) == [200, 200]
        assert b"POST / [%s]" % smuggled in answer
    assert set(world.asked) == {"POST /", "GET /next"}


async def test_many_upgrades_follow_each_other(world: World) -> None:
    """Each of many requests for another protocol in one piece is answered."""
    upgrade = head("GET /", "Connection: upgrade", "Upgrade: h2c")
    assert statuses(await world.ask(upgrade * 50 + head("GET /", CLOSE))) == [200] * 51


@pytest.mark.parametrize(
    "request_",
    [
        head("GET /", "X: " + "x" * limits.MOST_HEAD),
        head("GET /" + "x" * limits.MOST_HEAD),
        head("GET /", *["A: b"] * limits.MOST_HEADERS),
        b"GET / HTTP/1.1\r\nX: " + b"x" * 5 * limits.MOST_HEAD,
        head("POST /", "Transfer-Encoding: chunked") + b"0\r\nX: " + b"x" * 5 * limits.MOST_HEAD,
        b"\r\n" * limits.MOST_HEAD,
    ],
    ids=["value", "path", "count", "endless value", "endless trailer", "endless nothing"],
)
async def test_a_head_has_a_bound(world: World, request_: bytes) -> None:
    """Too many bytes or headers are 431, whether or not the head ever ends; so is what comes behind a body or before a head."""
    middle = len(request_) // 2
    answer = await world.ask(request_[:middle], request_[middle:])
    assert statuses(answer) == [431]
    assert problem_of(answer)["type"] == "urn:gyoza:head-too-large"


async def test_a_refusal_has_the_shape_of_its_path(world: World) -> None:
    """Where the path is known to be the Open Inference Protocol's, the error has the shape that it has there."""
    answer = await world.ask(head("GET /v2/models", *["A: b"] * limits.MOST_HEADERS))
    assert statuses(answer) == [431]
    assert json.loads(answer.rpartition(b"\r\n\r\n")[2])["code"] == "head-too-large"


async def test_a_large_head_within_the_bound_is_read(world: World) -> None:
    """A head just within the bound is answered, also when it arrives in pieces."""
    request = head("GET /", CLOSE, "X: " + "x" * (limits.MOST_HEAD - 100))
    assert statuses(await world.ask(request)) == [200]
    assert statuses(await world.ask(*[request[start : start + 9000] for start in range(0, len(request), 9000)])) == [
        200
    ]


async def test_trailers_are_no_headers(world: World) -> None:
    """What follows a body does not pass for a header of the request."""
    body = b"0\r\nX-Request-ID: late\r\n\r\n"
    answer = await world.ask(head("POST /", CLOSE, "Transfer-Encoding: chunked") + body)
    assert statuses(answer) == [200]
    assert b"late" not in answer


async def test_requests_ahead_have_a_bound(world: World) -> None:
    """So many requests before the first answer are answered, and one more is refused, after them."""
    answer = await world.ask(head() * 5000)
    assert statuses(answer) == [200] * (limits.MOST_AHEAD + 1) + [400]


@pytest.mark.parametrize(
    ("target", "path"), [("/a%2Cb?c=d", "/a,b"), ("http://a/b", "/b"), ("http://a", "/"), ("*", "*")]
)
async def test_the_target(world: World, target: str, path: str) -> None:
    """The path is that of the target, in each of its forms."""
    assert f"OPTIONS {path} []".encode() in await world.ask(head(f"OPTIONS {target}", CLOSE))


async def test_the_older_version_is_answered(world: World) -> None:
    """HTTP/1.0 needs no host, and its connection is closed after the answer."""
    answer = await world.ask(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert statuses(answer) == [200]


async def test_a_slow_head_is_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A head whose end does not come in time is 408; one byte at a time is no way to stay longer."""
    monkeypatch.setattr(limits, "HEAD_TIMEOUT_S", 0.3)
    reader, writer = await world.connect()
    answer = asyncio.create_task(rest(reader, writer))
    for byte in b"GET / HTTP/1.1\r\nX: " + 1000 * b"x":
        if answer.done():
            break
        writer.write(bytes([byte]))
        await asyncio.sleep(0.02)
    found = await answer
    assert statuses(found) == [408]
    assert problem_of(found)["type"] == "urn:gyoza:request-timeout"
    assert statuses(await world.ask(head(), b"GET")) == [200, 408]


async def test_a_silent_connection_is_closed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection on which nothing is asked, at first or any more, is closed without a word; empty lines are nothing."""
    monkeypatch.setattr(limits, "HEAD_TIMEOUT_S", 0.1)
    assert await world.ask() == b""
    assert await world.ask(b"\r\n", b"\r\n") == b""
    monkeypatch.setattr(limits, "KEEP_ALIVE_S", 0.1)
    reader, writer = await world.connect()
    writer.write(head())
    answer = await reader.readuntil(b"[]")
    writer.write(b"\r\n")
    assert statuses(answer + await rest(reader, writer)) == [200]


async def test_a_pause_of_the_machine_is_no_fault_of_the_client(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Time in which the server itself stood still does not count, neither within a head nor between two requests."""
    monkeypatch.setattr(limits, "HEAD_TIMEOUT_S", 0.5)
    monkeypatch.setattr(limits, "KEEP_ALIVE_S", 0.5)
    reader, writer = await world.connect()
    for piece in (head()[:9], head()[9:] + head("GET /last", CLOSE)[:9], head("GET /last", CLOSE)[9:]):
        writer.write(piece)
        await asyncio.sleep(0.05)
        time.sleep(0.6)  # noqa: ASYNC251 - so that the loop, with all that runs on it, stands still.
        await asyncio.sleep(0.05)
    assert statuses(await rest(reader, writer)) == [200, 200]


async def test_a_request_may_take_its_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a request is under way, it is its deadline alone that bounds it."""
    reader, writer = await world.connect()
    writer.write(head("POST /", CLOSE, "Content-Length: 40"))
    await world.is_asked()
    monkeypatch.setattr(limits, "HEAD_TIMEOUT_S", 0.05)
    for _ in range(40):
        writer.write(b"x")
        await asyncio.sleep(0.01)
    assert b"POST / [%s]" % (b"x" * 40) in await rest(reader, writer)


async def test_a_short_body_that_nobody_reads_is_thrown_away(world: World) -> None:
    """The connection is kept where the rest is short: what follows is the next request, not the body."""
    answer = await world.ask(head("POST /ignore", "Content-Length: 19"), head("GET /s")[:19], head("GET /next", CLOSE))
    assert statuses(answer) == [200, 200]
    assert world.asked == ["POST /ignore", "GET /next"]


@pytest.mark.parametrize(
    "headers",
    [
        ("Content-Length: 9999999",),
        ("Transfer-Encoding: chunked",),
        ("Content-Length: 9", "Expect: 100-continue"),
    ],
)
async def test_a_long_body_that_nobody_reads_ends_the_connection(world: World, headers: tuple[str, ...]) -> None:
    """The client gets its answer, may send more without being reset, and what it sends is no request."""
    reader, writer = await world.connect()
    writer.write(head("POST /ignore", *headers))
    await writer.drain()
    answer = await reader.read()
    assert statuses(answer) == [200]
    assert b"\r\nconnection: close\r\n" in answer
    for _ in range(50):
        writer.write(head("GET /s") * 1000)
        await writer.drain()
    writer.close()
    await writer.wait_closed()
    await world.is_empty()
    assert world.asked == ["POST /ignore"]


async def test_the_rest_of_a_body_is_awaited_for_a_while(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that neither sends the rest of a body nor goes is left after a while, whether the rest is long or short."""
    monkeypatch.setattr(limits, "LINGER_S", 0.2)
    for length in 9, 10**9:
        reader, writer = await world.connect()
        writer.write(head("POST /ignore", f"Content-Length: {length}"))
        await writer.drain()
        await world.is_empty()
        assert statuses(await rest(reader, writer)) == [200]


async def test_a_large_body_arrives_whole(world: World) -> None:
    """A body that arrives faster than it is read arrives whole."""
    body = bytes(range(256)) * 2**14
    answer = await world.ask(head("POST /", CLOSE, f"Content-Length: {len(body)}") + body)
    assert answer.endswith(b"POST / [%s]" % body)


async def test_the_rest_of_a_body_is_awaited_on_https(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where one end can't be closed alone, as with TLS, the answer comes too, and both are closed after a while."""
    monkeypatch.setattr(limits, "LINGER_S", 0.2)
    tls, trust = tls_contexts(tmp_path)
    async with listening(tls) as world:
        reader, writer = await asyncio.open_connection("127.0.0.1", world.port, ssl=trust)
        writer.write(head("POST /ignore", "Content-Length: 9999999"))
        assert statuses(await rest(reader, writer)) == [200]
        await world.is_empty()


async def test_who_does_not_read_on_https_is_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is cut off once it takes nothing for too long, and the log tells of it; who took all just has to say farewell."""
    monkeypatch.setattr(limits, "TAKE_TIMEOUT_S", 0.5)
    monkeypatch.setattr(limits, "FAREWELL_TIMEOUT_S", 0.2)
    monkeypatch.setattr(limits, "KEEP_ALIVE_S", 0.1)
    tls, trust = tls_contexts(tmp_path)
    for size, cut, least_s in [
        (30_000_000, 1, limits.TAKE_TIMEOUT_S),
        (1, 0, limits.KEEP_ALIVE_S + limits.FAREWELL_TIMEOUT_S),
    ]:
        caplog.clear()
        with caplog.at_level("INFO", "gyoza.http"):
            async with listening(tls) as world:
                client = socket.create_connection(("127.0.0.1", world.port), SECONDS)
                begin = asyncio.get_running_loop().time()
                with await asyncio.to_thread(trust.wrap_socket, client, server_hostname="127.0.0.1") as secure:
                    secure.sendall(head("POST /zeros", "Content-Length: 8") + b"%08d" % size)
                    await world.is_asked()
                    await world.is_empty()
                assert asyncio.get_running_loop().time() >= begin + least_s
        assert caplog.text.count("a connection was cut off") == cut


def tls_contexts(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return what a server and its client take to speak TLS."""
    certificate, key = make_certificate(folder)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    return tls, ssl.create_default_context(cafile=str(certificate))


async def test_requests_see_their_transport(world: World) -> None:
    """Whatever a request takes of its transport is there, and there is nothing that the transport lacks."""
    _, writer = await world.connect()
    wire = Wire(cast("asyncio.Transport", writer.transport), writer.close)
    assert wire.get_extra_info("peername") == ("127.0.0.1", world.port)
    assert not hasattr(wire, "nothing")
    wire.close()
    await writer.wait_closed()


async def test_an_awaited_body_is_asked_for(world: World) -> None:
    """Who reads the body has it asked for, and the connection is kept."""
    start = head("POST /", "Content-Length: 2", "Expect: 100-continue")
    answer = await world.ask(start, b"ab", head("GET /", CLOSE))
    assert statuses(answer) == [100, 200, 200]


async def test_a_client_that_does_not_read_is_cut_off(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is cut off once it takes nothing for too long, whether the connection would be kept or closed."""
    monkeypatch.setattr(limits, "TAKE_TIMEOUT_S", 0.3)
    for headers in [("Content-Length: 8",), ("Content-Length: 8", CLOSE)]:
        world.asked.clear()
        with socket.create_connection(("127.0.0.1", world.port)) as client:
            begin = asyncio.get_running_loop().time()
            client.sendall(head("POST /zeros", *headers) + b"30000000")
            await world.is_asked()
            await world.is_empty()
        assert asyncio.get_running_loop().time() >= begin + limits.TAKE_TIMEOUT_S


async def test_a_client_that_reads_slowly_gets_all(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that goes on taking gets its whole answer, however long that is."""
    monkeypatch.setattr(limits, "TAKE_TIMEOUT_S", 1.5)
    reader, writer = await asyncio.open_connection("127.0.0.1", world.port, limit=2**16)
    writer.write(head("POST /zeros", CLOSE, "Content-Length: 8") + b"20000000")
    size = 0
    while part := await reader.read(2**17):
        size += len(part)
        await asyncio.sleep(0.02)
    assert size > 20_000_000
    writer.close()
    await writer.wait_closed()


async def test_an_application_that_fails_late(world: World) -> None:
    """What an application does wrong once its answer has gone changes nothing for the client."""
    assert statuses(await world.ask(head("POST /ignore/fail", "Content-Length: 9999999"))) == [200]


async def test_the_log_tells_of_refusals(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """A refusal has a line like every request, and nothing of what was sent is in it."""
    with caplog.at_level("INFO", "gyoza.access"):
        await world.ask(b"SECRET / HTTP/1.1\r\n\r\n")
        await asyncio.sleep(0.05)
    lines = [record.getMessage() for record in caplog.records if record.name == "gyoza.access"]
    assert [re.sub(r"[\d.]+ms .*", "", line) for line in lines] == ["(unknown) (unknown) 400 "]
