"""Clients that are slow, rude, or gone, against real servers; each test asserts what another client saw meanwhile."""

import json
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from select import select

import httpx
import pytest

from app.server import FAREWELL_S, LINGER_S
from tests.app.certificates import make_certificate
from tests.app.faults.hurry import SLOW_KEEP_ALIVE_S, SLOW_TAKE_S, hurried
from tests.app.faults.narrow import narrow
from tests.app.faults.server import SECONDS, Server, rest, wait_until
from tests.app.faults.witness import witness
from tests.app.http.requests import AMBIGUOUS, head, statuses
from tests.app.worlds import put, rows

PATH = "POST /models/tiny/encode"
JSON = "Content-Type: application/json"
BODY = json.dumps({"latents": rows(2).tolist()}).encode()
LENGTH = f"Content-Length: {len(BODY)}"
LARGE = json.dumps({"latents": rows(60_000).tolist()}).encode()
INTAKE = 40 * 2**20
CUT = "a connection was cut off"


@pytest.fixture(scope="module", params=[1, 2], ids=["one process", "two workers"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server in a hurry."""
    folder = tmp_path_factory.mktemp("models")
    put(folder)
    log = folder.with_suffix(".log")
    limits = ["--max-body-bytes", str(INTAKE // 2), "--max-intake-bytes", str(INTAKE), "--max-queue-rows", "1000000"]
    options = ["--workers", str(request.param), "--request-timeout-s", "4", *limits]
    with log.open("w") as file, hurried(folder, *options, stderr=file) as (process, address, _):
        yield Server.of(process, address, log)


def test_a_client_that_stops_reading_is_cut_off(server: Server) -> None:
    """Who takes nothing of its answer is cut off, and the memory goes to who comes next."""
    request = head(PATH, JSON, f"Content-Length: {len(LARGE)}") + LARGE
    files, peaks = server.files(), []
    for _ in range(3):
        cut = server.log.read_text().count(CUT)
        with witness(server.address), ExitStack() as clients:
            for _ in range(6):
                client = clients.enter_context(socket.socket())
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                client.settimeout(SECONDS)
                client.connect(server.place)
                client.sendall(request)
            wait_until(lambda: server.log.read_text().count(CUT) == cut + 6)  # noqa: B023
            peaks.append(server.memory())
        server.settle(files)
    assert peaks[2] < 1.25 * peaks[0] + 2**24


def test_large_bodies_that_never_end(server: Server) -> None:
    """Bodies that are held up take no more memory together than they may; small ones are read all the while."""
    files, memory, answers = server.files(), server.memory(), []
    start = head(PATH, "Content-Type: application/vnd.safetensors", f"Content-Length: {INTAKE // 2}")
    with witness(server.address), ExitStack() as clients:
        for _ in range(40):
            client = clients.enter_context(server.connect())
            client.sendall(start)
            client.sendall(bytes(INTAKE // 3))
            answers.append(client)
        assert server.memory() < memory + (1 + len(server.processes)) * INTAKE
        assert {*statuses(b"".join(map(rest, answers)))} == {429, 504}
    server.settle(files)


def test_a_byte_at_a_time(server: Server) -> None:
    """A head that takes for ever is 408, a body 504 at the request's deadline, and both connections end."""
    files = server.files()
    slowly = {408: head(PATH, JSON)[:-4], 504: head(PATH, JSON, "Content-Length: 1000000")}
    with witness(server.address), ThreadPoolExecutor(len(slowly)) as threads:
        for status, answer in zip(slowly, threads.map(partial(ask_slowly, server), slowly.values()), strict=True):
            assert statuses(answer) == [status]
            assert b"\r\nconnection: close\r\n" in answer
            assert b"application/problem+json" in answer
    server.settle(files)


def ask_slowly(server: Server, start: bytes) -> bytes:
    """Send one byte after the other behind a beginning, until there is an answer, and return that."""
    end = time.monotonic() + SECONDS
    with server.connect() as client:
        client.sendall(start)
        while not select([client], [], [], 0.1)[0]:
            assert time.monotonic() < end
            client.sendall(b"x")
        return rest(client)


@pytest.mark.parametrize("request_", [head(PATH, JSON, LENGTH)[:-10], head(PATH, JSON, LENGTH) + BODY[:-10]])
@pytest.mark.parametrize("ending", ["closes", "resets"])
def test_a_request_that_is_cut_off(server: Server, request_: bytes, ending: str) -> None:
    """A client that goes in the middle of a head or of a body leaves nothing behind."""
    files = server.files()
    with witness(server.address):
        for _ in range(50):
            with server.connect() as client:
                if ending == "resets":
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, bytes([1, 0, 0, 0, 0, 0, 0, 0]))
                client.sendall(request_)
        server.settle(files + 2)
    server.settle(files)


def test_requests_that_can_be_read_in_two_ways(server: Server) -> None:
    """Each is refused once, and what is hidden behind it is never taken for a request."""
    hidden = head("GET /hidden")
    with witness(server.address):
        for name, request in AMBIGUOUS.items():
            answer = server.ask(request.replace(b"POST /", PATH.encode()) + hidden)
            assert statuses(answer) == [400], name
            assert b"urn:gyoza:malformed-request" in answer, name
    assert "/hidden" not in server.log.read_text()


def test_requests_behind_a_body_that_nobody_reads(server: Server) -> None:
    """Behind a short body they are answered, behind a long one they are not; none of the body is taken for one."""
    hidden, close = head("GET /hidden"), head("GET /livez", "Connection: close")
    with witness(server.address):
        for line in ("POST /nowhere", PATH):
            short = head(line, "Content-Type: text/csv", f"Content-Length: {len(hidden)}")
            assert statuses(server.ask(short, hidden + close, pause=0.02)) == [415 if line == PATH else 404, 200]
            long = head(line, "Content-Type: text/csv", "Content-Length: 100000")
            assert statuses(server.ask(long, hidden, close, pause=0.02)) == [415 if line == PATH else 404]
    assert "/hidden" not in server.log.read_text()


def test_many_requests_ahead(server: Server) -> None:
    """Requests that are sent before the answers to others are answered in their order."""
    request = head(PATH, JSON, LENGTH) + BODY
    with witness(server.address):
        answer = server.ask(request * 50, head("GET /livez", "Connection: close"))
    assert statuses(answer) == [200] * 51
    assert answer.endswith(b'{"status":"alive"}')


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates")
@pytest.mark.parametrize("ending", ["keep-alive", "close"])
def test_who_reads_slowly_over_tls_gets_all(tmp_path: Path, ending: str) -> None:
    """Its answer comes whole, though the connection would be closed by then."""
    put(tmp_path)
    limits = ("--max-rows", "150000", *tls(tmp_path))
    with hurried(tmp_path, *limits, run="serve_slow_readers") as (server, address, _):
        with asking_over_tls(address, tmp_path, 150_000, f"Connection: {ending}") as client:
            answer, end = client.recv(1), time.monotonic() + max(SLOW_TAKE_S, SLOW_KEEP_ALIVE_S) + 1
            while time.monotonic() < end:
                answer += client.recv(2**14)
                time.sleep(0.02)
            answer += rest(client)
        server.terminate()
        server.communicate(timeout=SECONDS)
    assert len(json.loads(answer.partition(b"\r\n\r\n")[2])["codes"]) == 150_000
    assert server.returncode == 0


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates")
def test_who_reads_slowly_over_tls_gets_all_though_the_server_ends(tmp_path: Path) -> None:
    """A drain waits for what is encrypted already, of which the system holds a part only."""
    put(tmp_path)
    with narrow(tmp_path, *tls(tmp_path)) as (server, address, _):
        with asking_over_tls(address, tmp_path, 1_500) as client:
            answer = client.recv(2**12)
            server.terminate()
            time.sleep(LINGER_S + FAREWELL_S + 0.5)
            answer += rest(client)
        server.communicate(timeout=SECONDS)
    assert len(json.loads(answer.partition(b"\r\n\r\n")[2])["codes"]) == 1_500
    assert server.returncode == 0


@contextmanager
def asking_over_tls(address: str, folder: Path, count: int, *headers: str) -> Iterator[ssl.SSLSocket]:
    """A client that has asked for the codes of so many rows, and whose system takes little at once."""
    body = json.dumps({"latents": rows(count).round(3).tolist()}).encode()
    with socket.socket() as plain:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        plain.connect(("127.0.0.1", int(address.rpartition(":")[2])))
        plain.settimeout(SECONDS)
        context = ssl.create_default_context(cafile=folder / "server.pem")
        with context.wrap_socket(plain, server_hostname="127.0.0.1") as client:
            client.sendall(head(PATH, JSON, f"Content-Length: {len(body)}", *headers) + body)
            yield client


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates")
def test_who_never_says_farewell_is_left(tmp_path: Path) -> None:
    """A client that has all it asked for but does not end TLS is disconnected after a while."""
    put(tmp_path)
    with hurried(tmp_path, *tls(tmp_path)) as (server, address, _):
        files = Path(f"/proc/{server.pid}/fd")
        place = ("127.0.0.1", int(address.rpartition(":")[2]))
        context = ssl.create_default_context(cafile=tmp_path / "server.pem")
        with context.wrap_socket(socket.create_connection(place, SECONDS), server_hostname="127.0.0.1") as client:
            client.sendall(head("GET /livez"))
            assert client.recv(12) == b"HTTP/1.1 200"
            open_files = len(list(files.iterdir()))
            client.sendall(head("GET /livez", "Connection: close"))
            wait_until(lambda: len(list(files.iterdir())) < open_files)


def tls(folder: Path) -> tuple[str, ...]:
    """Return what has a server speak TLS."""
    certificate, key = map(str, make_certificate(folder))
    return "--tls-certificate", certificate, "--tls-key", key


def can_ask_for_http2() -> bool:
    """Whether there is a curl that knows HTTP/2."""
    curl = shutil.which("curl")
    return curl is not None and b"HTTP2" in subprocess.check_output([curl, "--version"])


@pytest.mark.skipif(not can_ask_for_http2(), reason="There is no curl that can ask for HTTP/2.")
def test_curl_asks_for_another_protocol(server: Server) -> None:
    """``curl --http2`` posts a body, and goes on on the same connection."""
    url = f"{server.address}/models/tiny/encode"
    command = ["curl", "-sv", "--http2", "-H", JSON, "-d", BODY.decode(), url, url]
    with witness(server.address):
        found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=SECONDS)
    assert found.stdout.count('"codes"') == 2
    assert "Re-using existing connection" in found.stderr


def test_the_client_is_told_even_while_it_sends(server: Server) -> None:
    """Who sends more than a body may have reads that, rather than being reset in the middle."""
    large = 20 * 2**20
    with witness(server.address), server.connect() as client:
        client.sendall(head(PATH, JSON, f"Content-Length: {large}"))
        for _ in range(20):
            client.sendall(bytes(2**16))
        assert statuses(rest(client)) == [413]
    with witness(server.address), httpx.Client() as other:
        answer = other.post(f"{server.address}/models/tiny/encode", content=(bytes(2**16) for _ in range(320)))
        assert answer.status_code == 413
