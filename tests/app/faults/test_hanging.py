"""Workers that are killed or hang, and passes that do not come back: what others see of it."""

import os
import re
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import httpx
import pytest

from tests.app.faults.clients import BODY, Client, Seen, load_on, wait_until
from tests.app.faults.test_drain import WORLDS, ended, get, is_ready, total
from tests.app.servers import SECONDS, serving
from tests.app.workers.test_supervisor import lives, read_until
from tests.app.worlds import put

QUIET = ("--workers", "2", "--log-level", "warning")
FAULTY = {"run": "serve_faulty", "module": WORLDS}


def workers_of(server: subprocess.Popen[str]) -> list[int]:
    """Return the process ids of a server's workers."""
    return [int(text) for text in Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()]


def clients_of(worker: int) -> set[int]:
    """Return the ports of the clients whose connections a process has."""
    files = {str(path.readlink()) for path in Path(f"/proc/{worker}/fd").iterdir()}
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {int(line[2].rpartition(":")[2], 16) for line in lines if f"socket:[{line[9]}]" in files}


def why_not_ready(address: str) -> str:
    """Return why the server is not ready; empty if it is."""
    return str(get(address, "/readyz").json().get("detail", ""))


def test_a_killed_worker_takes_only_its_own_connections(folder: Path) -> None:
    """Under load, each client of the worker that is killed loses one request, and nobody else does."""
    with serving(folder, *QUIET) as (server, address, _):
        wait_until(lambda: is_ready(address))
        workers = workers_of(server)
        over = Event()
        with load_on(address, lambda _: over.is_set()) as clients:
            its_clients = clients_of(workers[0])
            os.kill(workers[0], signal.SIGKILL)
            read_until(server, rf"worker \d \(process {workers[0]}\) ended by SIGKILL; another one starts")
            wait_until(lambda: is_ready(address))
            over.set()
        for seen in (each.result() for each in clients):
            assert seen == Seen(seen.right, reset=seen.port in its_clients)
        assert any(each.result().reset for each in clients)
        server.terminate()
        assert ended(server)[0] == 0
    assert not any(map(lives, workers))


def test_a_worker_that_hangs_is_replaced(folder: Path) -> None:
    """A stopped worker makes the server not ready, is killed, and its clients are reset; others go on all the while.

    Connections that were on their way to it are answered by another one.
    """
    with serving(folder, *QUIET, **FAULTY) as (server, address, _):
        wait_until(lambda: is_ready(address))
        workers = workers_of(server)
        over = Event()
        with load_on(address, lambda _: over.is_set()) as clients, ThreadPoolExecutor(8) as threads:
            its_clients = clients_of(workers[0])
            os.kill(workers[0], signal.SIGSTOP)
            others = [threads.submit(get, address, "/livez") for _ in range(8)]
            hangs = rf"worker \d \(process {workers[0]}\)"
            read_until(server, f"{hangs} does not answer")
            assert re.search(f"{hangs} does not answer", why_not_ready(address))
            other = Client(address)
            assert other.ask()
            other.close()
            read_until(server, f"{hangs} has not answered for 5 s and is killed")
            read_until(server, f"{hangs} ended by SIGKILL; another one starts")
            wait_until(lambda: is_ready(address))
            over.set()
        assert [each.result().status_code for each in others] == [200] * len(others)
        for seen in (each.result() for each in clients):
            assert seen == Seen(seen.right, reset=seen.port in its_clients)
        server.terminate()
        assert ended(server)[0] == 0


def test_a_worker_that_awakes_in_time_goes_on(folder: Path) -> None:
    """A worker that was stopped for a while is not killed; it answers what has come meanwhile, and all are ready."""
    with serving(folder, *QUIET, **FAULTY) as (server, address, _):
        wait_until(lambda: is_ready(address))
        workers = workers_of(server)
        over = Event()
        with load_on(address, lambda _: over.is_set()) as clients:
            os.kill(workers[1], signal.SIGSTOP)
            read_until(server, rf"\(process {workers[1]}\) does not answer")
            os.kill(workers[1], signal.SIGCONT)
            read_until(server, rf"\(process {workers[1]}\) answers again")
            wait_until(lambda: is_ready(address))
            over.set()
        seen = total([each.result() for each in clients])
        assert seen == Seen(right=seen.right)
        server.terminate()
        assert ended(server)[0] == 0
    assert not any(map(lives, workers))


@pytest.mark.parametrize("comes_back", [True, False])
def test_a_pass_that_does_not_come_back(folder: Path, comes_back: bool) -> None:
    """Its requests get 504, the server is neither ready nor alive, others are answered; if it comes back all is well again.

    It does not keep the process from its end.
    """
    gate = put(folder, name="stuck", text="gated") / "gate"
    limits = ("--request-timeout-s", "2", "--log-level", "warning")
    with serving(folder, *limits, **FAULTY) as (server, address, _):
        assert httpx.post(f"{address}/models/stuck/encode", content=BODY, timeout=SECONDS).status_code == 504
        wait_until(lambda: "A pass of stuck version 1 (encode) has not come back" in why_not_ready(address))
        for path in ("/livez", "/v2/health/live"):
            assert get(address, path).status_code == 503
        client = Client(address)
        for _ in range(20):
            client.ask()
        client.close()
        assert client.seen == Seen(right=20)
        if comes_back:
            gate.touch()
            wait_until(lambda: is_ready(address))
            assert get(address, "/livez").status_code == 200
            assert httpx.post(f"{address}/models/stuck/encode", content=BODY, timeout=SECONDS).status_code == 200
        server.terminate()
        assert ended(server) == (0, "")


def test_a_worker_whose_pass_does_not_come_back_is_replaced(folder: Path) -> None:
    """The worker finishes what it can and is replaced, while clients on new connections are answered."""
    put(folder, name="stuck", text="gated")
    with serving(folder, "--request-timeout-s", "2", *QUIET, **FAULTY) as (server, address, _):
        wait_until(lambda: is_ready(address))
        workers = workers_of(server)
        assert httpx.post(f"{address}/models/stuck/encode", content=BODY, timeout=SECONDS).status_code == 504
        replaced = int(read_until(server, r"\(process (\d+)\) is replaced: A pass of stuck version 1")[1])
        assert replaced in workers
        for _ in range(20):
            client = Client(address)
            client.ask()
            client.close()
            assert client.seen == Seen(right=1)
        read_until(server, rf"\(process {replaced}\) ended with code 0; another one starts")
        wait_until(lambda: is_ready(address))
        server.terminate()
        assert ended(server)[0] == 0


def test_a_flow_that_ends_its_thread(folder: Path) -> None:
    """A pass that ends its thread, as no flow may, is a bug of one request: others are answered, and it goes on."""
    put(folder, name="odd", text="exiting")
    with serving(folder, "--workers", "1", **FAULTY) as (server, address, _):
        for _ in range(3):
            answer = httpx.post(f"{address}/models/odd/encode", content=BODY, timeout=SECONDS)
            assert (answer.status_code, answer.json()["type"]) == (500, "urn:gyoza:internal")
            client = Client(address)
            client.ask()
            client.close()
            assert client.seen == Seen(right=1)
        assert is_ready(address)
        server.terminate()
        server.communicate(timeout=SECONDS)
    assert server.returncode == 0
