"""Asked to end while clients ask: what is answered, what is not, and what is told of it."""

import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event
from urllib.parse import urlsplit

import httpx
import pytest

from tests.app.certificates import make_certificate
from tests.app.faults.clients import Client, Seen, load_on, wait_until
from tests.app.servers import SECONDS, read_up_to, serving, start
from tests.app.worlds import put, rows

WORLDS = "tests.app.faults.worlds"
WORKERS = pytest.mark.parametrize("workers", ["1", "2"])


def get(address: str, path: str) -> httpx.Response:
    """Ask on a connection of its own."""
    return httpx.get(address + path, timeout=SECONDS)


def is_ready(address: str) -> bool:
    """Whether the server says that it is ready."""
    return get(address, "/readyz").status_code == 200


def is_closed(address: str) -> bool:
    """Whether nobody listens."""
    try:
        connect(address).close()
    except OSError:
        return True
    return False


def ended(server: subprocess.Popen[str]) -> tuple[int, str]:
    """Wait until a server has ended; return its code and its log."""
    _, log = server.communicate(timeout=SECONDS)
    assert "Traceback" not in log, log
    return server.returncode, log


def total(seen: list[Seen]) -> Seen:
    """Add up what several clients saw."""
    return Seen(
        sum(each.right for each in seen),
        [text for each in seen for text in each.wrong],
        sum(each.reset for each in seen),
        sum(each.refused for each in seen),
    )


@pytest.mark.parametrize(("workers", "number"), [("1", signal.SIGINT), ("2", signal.SIGTERM)])
def test_load_balancers_have_time_to_see_it(folder: Path, workers: str, number: int) -> None:
    """For the delay it is not ready but answers everyone, each connection for the last time; then it ends with 0.

    Clients that turn to another server once it is not ready lose nothing, though every process got the signal.
    """
    told = Event()
    arguments = ("--workers", workers, "--pre-stop-delay-s", "4", "--log-level", "warning")
    with serving(folder, *arguments, start_new_session=True) as (server, address, _):
        wait_until(lambda: is_ready(address))
        with load_on(address, lambda _: told.is_set()) as clients:
            os.killpg(server.pid, number)
            wait_until(lambda: not is_ready(address))
            begin = time.monotonic()
            answer = get(address, "/readyz")
            assert (answer.status_code, answer.json()["type"]) == (503, "urn:gyoza:not-ready")
            assert "draining" in answer.json()["detail"]
            assert answer.headers["connection"] == "close"
            assert get(address, "/v2/health/ready").status_code == 503
            assert get(address, "/livez").status_code == 200
            time.sleep(max(0.0, begin + 0.4 - time.monotonic()))
            told.set()
        seen = total([each.result() for each in clients])
        assert seen == Seen(right=seen.right)
        assert ended(server) == (0, "")


def test_workers_may_hear_of_it_twice(folder: Path) -> None:
    """A signal that reaches workers when their supervisor has told them already changes nothing."""
    with serving(folder, "--workers", "2", "--drain-timeout-s", "10", "--log-level", "warning") as (server, _, _):
        workers = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
        server.terminate()
        time.sleep(0.02)
        for worker in workers:
            with suppress(ProcessLookupError):  # It may have ended by now.
                os.kill(int(worker), signal.SIGTERM)
        code, log = ended(server)
    assert code == 0, log
    assert "is killed" not in log


@WORKERS
def test_without_a_delay_what_came_is_answered(folder: Path, workers: str) -> None:
    """Under load every request is answered whose connection stood; new connections are refused, and it ends with 0."""
    arguments = ("--workers", workers, "--log-level", "warning")
    with serving(folder, *arguments) as (server, address, _):
        wait_until(lambda: is_ready(address))
        with load_on(address, lambda client: client.seen.refused > 0) as clients:
            server.terminate()
            wait_until(lambda: all(each.done() for each in clients))
        seen = total([each.result() for each in clients])
        assert seen == Seen(right=seen.right, refused=len(clients))
        assert ended(server) == (0, "")


@WORKERS
def test_a_request_on_its_way_is_answered(folder: Path, workers: str) -> None:
    """A request that comes on an old connection just after the port has closed is answered, and is the last one."""
    with serving(folder, "--workers", workers, run="serve_patiently", module=WORLDS) as (server, address, _):
        client = Client(address)
        client.ask()
        server.terminate()
        wait_until(lambda: is_closed(address))
        answer = client.ask()
        assert answer is not None
        assert answer.getheader("connection") == "close"
        assert client.seen == Seen(right=2)
        assert ended(server)[0] == 0


def connect(address: str) -> socket.socket:
    """Connect, and say nothing."""
    host, _, port = urlsplit(address).netloc.rpartition(":")
    return socket.create_connection((host, int(port)), SECONDS)


def test_who_asks_nothing_is_not_waited_for(folder: Path) -> None:
    """Connections without a request, new or old, are closed after a moment, and hold up nothing."""
    with serving(folder) as (server, address, _), connect(address) as new, connect(address) as old:
        old.sendall(b"GET /livez HTTP/1.1\r\nHost: test\r\n\r\n")
        assert old.recv(12) == b"HTTP/1.1 200"
        server.terminate()
        assert new.recv(1) == b""
        assert ended(server)[0] == 0


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates")
@pytest.mark.parametrize("workers", ["1", "2"])
def test_who_dawdles_with_tls_is_not_waited_for(folder: Path, workers: str) -> None:
    """Neither a client that does not begin with TLS nor one that never says farewell holds up the end for long."""
    certificate, key = map(str, make_certificate(folder))
    tls = ("--tls-certificate", certificate, "--tls-key", key, "--workers", workers, "--drain-timeout-s", "600")
    with serving(folder, *tls) as (server, address, _), connect(address) as silent:
        context = ssl.create_default_context(cafile=certificate)
        host = urlsplit(address).hostname
        with context.wrap_socket(connect(address), server_hostname=host) as idle:
            idle.sendall(b"GET /livez HTTP/1.1\r\nHost: test\r\n\r\n")
            assert idle.recv(12) == b"HTTP/1.1 200"
            server.terminate()
            assert silent.recv(1) == b""
            assert ended(server)[0] == 0


@contextmanager
def in_flight(
    folder: Path, *arguments: str
) -> Iterator[tuple[subprocess.Popen[str], str, ThreadPoolExecutor, list[Client]]]:
    """A server of which two clients wait for an answer that does not come."""
    put(folder, text="gated")
    # The server ends first, and with it what the threads wait for.
    with ThreadPoolExecutor() as threads, serving(folder, *arguments) as (server, address, _):
        clients = [Client(address), Client(address)]
        for client in clients:
            threads.submit(client.ask)
        read_up_to(server, "pass begins")
        if "2" in arguments:
            read_up_to(server, "pass begins")
        wait_until(lambda: all(client.seen.port for client in clients))
        wait_until(lambda: get(address, "/livez").status_code == 200)
        server.terminate()
        wait_until(lambda: is_closed(address))
        yield server, address, threads, clients


def cut(log: str, reason: str) -> int:
    """Return how many requests the log says were cut."""
    return sum(map(int, re.findall(rf"(\d) requests were cut, since {reason}", log)))


@WORKERS
def test_a_second_signal_cuts_short(tmp_path: Path, workers: str) -> None:
    """Asked again it ends at once with 1; the log counts the requests that got no answer, and none of them hangs."""
    with in_flight(tmp_path, "--workers", workers) as (server, _, threads, clients):
        server.terminate()
        code, log = ended(server)
        threads.shutdown()
    assert (code, cut(log, "it was asked to end at once")) == (1, 2)
    assert [client.seen for client in clients] == [Seen(refused=1)] * 2


@WORKERS
def test_what_takes_too_long_is_cut(tmp_path: Path, workers: str) -> None:
    """When the time to drain is over it ends with 1, and the log counts the requests that got no answer."""
    with in_flight(tmp_path, "--workers", workers, "--drain-timeout-s", "0.3") as (server, _, threads, clients):
        code, log = ended(server)
        threads.shutdown()
    assert (code, cut(log, "GYOZA_DRAIN_TIMEOUT_S is over")) == (1, 2)
    assert [client.seen for client in clients] == [Seen(refused=1)] * 2


def test_an_answer_that_nobody_reads_is_cut(folder: Path) -> None:
    """A client that stops reading can't keep the server from its end, and counts as one that got no answer."""
    body = httpx.Request("POST", "http://test/encode", json={"latents": rows(150_000).round(3).tolist()})
    limits = ("--max-rows", "150000", "--drain-timeout-s", "0.3")
    with serving(folder, *limits) as (server, address, _), socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(SECONDS)
        client.connect((urlsplit(address).hostname, urlsplit(address).port))
        head = f"POST /encode HTTP/1.1\r\nHost: test\r\nContent-Length: {len(body.content)}\r\n\r\n"
        client.sendall(head.encode() + body.content)
        assert client.recv(12) == b"HTTP/1.1 200"
        server.terminate()
        code, log = ended(server)
    assert (code, cut(log, "GYOZA_DRAIN_TIMEOUT_S is over")) == (1, 1)


@WORKERS
def test_what_loads_ends_at_once(folder: Path, workers: str) -> None:
    """Asked to end while its models load, it ends at once with 0: nobody takes it for ready."""
    arguments = ("--models-dir", str(folder), "--port", "0", "--workers", workers, "--pre-stop-delay-s", "600")
    with start("serve", *arguments, run="serve_endlessly", module=WORLDS) as server:
        read_up_to(server, "loading begins")
        server.terminate()
        assert ended(server)[0] == 0
