"""Several processes behind one port, run as users run them."""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Timer

import httpx
import pytest
import uvicorn

from app.lifecycle import Lifecycle
from app.main import create_app
from app.peers import Peers
from app.serving import open_port
from app.settings import Settings
from app.workers.channel import MOST_WAITING
from app.workers.control import SharedControl
from app.workers.messages import Loaded, Version
from app.workers.processes import Launcher, WorkerProcess
from app.workers.server import WorkerServer
from app.workers.supervisor import LONGEST_PAUSE_S, Supervisor, faults, pause_after
from tests.app.servers import ROOT, SECONDS, read_up_to, serving
from tests.app.worlds import LATENTS, command_of, put

WORKERS = 2
NOBODY = SharedControl(lambda _: None, lambda _: Loaded(ready=False, versions=(), story=""))
"""A control without a supervisor."""


@contextmanager
def serving_by_workers(
    folder: Path, *arguments: str
) -> Iterator[tuple[subprocess.Popen[str], httpx.Client, list[int], str]]:
    """A server of two workers in a group of its own, a client of it, their process ids, and what was printed."""
    count = ("--workers", str(WORKERS))
    with (
        serving(folder, *count, *arguments, start_new_session=True) as (server, address, banner),
        httpx.Client(base_url=address, timeout=SECONDS) as client,
    ):
        yield server, client, [worker_of(server) for _ in range(WORKERS)], banner


def worker_of(server: subprocess.Popen[str]) -> int:
    """Read the log until the next worker has loaded, and return its process id."""
    return int(read_until(server, r"worker \d \(process (\d+)\) has loaded: \d of \d versions READY")[1])


def read_until(server: subprocess.Popen[str], pattern: str) -> re.Match[str]:
    """Read the log until a line matches; a server that does not write it in time is killed."""
    assert server.stderr
    timer = Timer(SECONDS, server.kill)
    timer.start()
    try:
        lines = [*until_matching(server.stderr, pattern)]
    finally:
        timer.cancel()
    found = re.search(pattern, lines[-1]) if lines else None
    assert found, lines
    return found


def until_matching(lines: Iterable[str], pattern: str) -> Iterator[str]:
    """Yield lines up to the first that matches."""
    for line in lines:
        yield line
        if re.search(pattern, line):
            return


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until something holds."""
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def lives(process: int) -> bool:
    """Whether a process is there, dead ones that nobody has waited for left out."""
    try:
        os.kill(process, 0)
        return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except (ProcessLookupError, FileNotFoundError):
        return False


def get(client: httpx.Client, path: str) -> httpx.Response:
    """Ask on a connection of its own."""
    return httpx.get(f"{str(client.base_url).rstrip('/')}{path}", timeout=SECONDS)


def is_ready(client: httpx.Client) -> bool:
    """Whether the server says that it is ready."""
    return get(client, "/readyz").status_code == 200


def ends(server: subprocess.Popen[str], workers: list[int]) -> int:
    """Wait until the server has ended; return its code, and see that no worker is left."""
    _, errors = server.communicate(timeout=SECONDS)
    assert "Traceback" not in errors
    wait_until(lambda: not any(map(lives, workers)))
    return server.returncode


def test_workers_share_a_port_and_replace_each_other(folder: Path) -> None:
    """All of them answer; one that is killed is replaced, and no connection of another is reset; all end with 0."""
    with serving_by_workers(folder, "--log-format", "json") as (server, client, workers, banner):
        assert banner.count("Serving on") == banner.count("curl") == 1
        assert f"by {WORKERS} workers (Ctrl+C ends it): 1 of 1 versions READY" in banner
        assert is_ready(client)
        clients = [httpx.Client(base_url=client.base_url, timeout=SECONDS) for _ in range(2 * WORKERS)]
        served_by = []
        for each in clients:
            assert each.post("/factors", json={"latents": LATENTS}).status_code == 200
            served_by.append(json.loads(read_until(server, ".*POST /factors 200.*")[0])["process"])
        assert sorted(served_by) == sorted(workers * 2)
        os.kill(workers[0], signal.SIGKILL)
        ended = read_until(server, r"worker \d \(process (\d+)\) ended by SIGKILL; another one starts\b")
        assert int(ended[1]) == workers[0]
        assert all(
            each.get("/livez").status_code == 200
            for each, process in zip(clients, served_by, strict=True)
            if process == workers[1]
        )
        workers.append(worker_of(server))
        wait_until(lambda: is_ready(client))
        for each in clients:
            each.close()
        server.terminate()
        assert ends(server, workers) == 0


def test_one_worker_that_is_not_ready_makes_all_not_ready(folder: Path) -> None:
    """Asked at a worker that has all its models, the server is not ready while another one has not."""
    with serving_by_workers(folder) as (server, client, workers, _):
        (folder / "tiny" / "1" / "flow.keras").write_text("?")
        os.kill(workers[0], signal.SIGKILL)
        reason = f"(process {worker_of(server)}): tiny version 1 is UNAVAILABLE (flow.keras must be a .keras archive)"
        wait_until(lambda: reason in not_ready(client))
        wait_until(lambda: "Every model must be READY. tiny version 1 is UNAVAILABLE" in not_ready(client))
        server.terminate()
        assert ends(server, workers) == 0


def not_ready(client: httpx.Client) -> str:
    """Return why the server is not ready, whichever worker says so."""
    answer = get(client, "/readyz")
    assert answer.status_code == 503
    return str(answer.json()["detail"])


def encode_one(client: httpx.Client) -> httpx.Response:
    """Ask for one code."""
    return client.post("/encode", json={"latents": LATENTS})


@pytest.mark.parametrize("stop", ["the supervisor", "everyone", "Ctrl+C"])
def test_what_runs_is_finished(tmp_path: Path, stop: str) -> None:
    """Asked to end, it answers what it has begun, takes nothing new, and ends with 0 and without a stack trace.

    It does not matter whether the signal comes to the supervisor alone, as in a container, or to every process.
    """
    gate = put(tmp_path, text="gated") / "gate"
    with ThreadPoolExecutor() as threads, serving_by_workers(tmp_path) as (server, client, workers, _):
        answer = threads.submit(encode_one, client)
        read_up_to(server, "pass begins")
        if stop == "the supervisor":
            server.terminate()
        else:
            os.killpg(server.pid, signal.SIGINT if stop == "Ctrl+C" else signal.SIGTERM)
        wait_until(lambda: sum(map(lives, workers)) == 1)
        with pytest.raises(httpx.ConnectError):
            get(client, "/livez")
        gate.touch()
        assert answer.result().status_code == 200
        assert ends(server, workers) == 0


def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    """A second signal waits for no request, and ends everything with 1."""
    put(tmp_path, text="gated")
    with ThreadPoolExecutor() as threads, serving_by_workers(tmp_path) as (server, client, workers, _):
        answer = threads.submit(encode_one, client)
        read_up_to(server, "pass begins")
        server.terminate()
        wait_until(lambda: sum(map(lives, workers)) == 1)
        server.terminate()
        assert ends(server, workers) == 1
        with pytest.raises(httpx.TransportError):
            answer.result()


def test_one_worker_can_be_asked_to_end(tmp_path: Path) -> None:
    """SIGTERM to one worker fails no request: it answers what it has begun, gets nothing new, and is replaced."""
    gate = put(tmp_path, text="gated") / "gate"
    with ThreadPoolExecutor() as threads, serving_by_workers(tmp_path) as (server, client, workers, _):
        answer = threads.submit(encode_one, client)
        read_up_to(server, "pass begins")
        for process in workers:
            os.kill(process, signal.SIGTERM)
        told = [int(read_until(server, r"\(process (\d+)\) ended with code 0; another one starts")[1])]
        gate.touch()
        assert answer.result().status_code == 200
        told.append(int(read_until(server, r"\(process (\d+)\) ended with code 0; another one starts")[1]))
        assert sorted(told) == sorted(workers)
        wait_until(lambda: is_ready(client))
        server.terminate()
        assert ends(server, workers) == 0


def test_no_worker_outlives_the_supervisor(folder: Path) -> None:
    """A supervisor that is killed leaves no worker behind."""
    with serving_by_workers(folder) as (server, _, workers, _):
        server.kill()
        assert ends(server, workers) == -signal.SIGKILL


def test_a_hanging_worker_holds_up_no_other(folder: Path) -> None:
    """While one worker hangs, few connections go to it and all else to others; it answers them when it goes on."""
    count = MOST_WAITING + 4
    with ThreadPoolExecutor(count) as threads, serving_by_workers(folder) as (server, client, workers, _):
        os.kill(workers[0], signal.SIGSTOP)
        answers = [threads.submit(get, client, "/livez") for _ in range(count)]
        try:
            wait_until(lambda: sum(answer.done() for answer in answers) >= count - MOST_WAITING)
        finally:
            os.kill(workers[0], signal.SIGCONT)
        assert [answer.result().status_code for answer in answers] == [200] * count
        server.terminate()
        assert ends(server, workers) == 0


SUPERVISE = """
import sys
from app.serving import open_port
from app.settings import Settings
from app.workers import processes, supervise, supervisor

processes.END_S = supervisor.END_S = 0.2
settings = Settings(port=0, workers=2, drain_timeout_s=2)
sys.exit(supervise(settings, open_port(settings), "", sys.argv[1:]))
"""
ENDS = "raise SystemExit(3)"
HANGS = r"import os, time; os.write(2, b'begins\n'); time.sleep(600)"
HANGS_UP = """
import json, os, sys, time
given = json.load(sys.stdin)
os.close(given["pipe"])
os.close(given["channel"])
time.sleep(600)
"""


@contextmanager
def supervising(*command: str) -> Iterator[subprocess.Popen[str]]:
    """A supervisor of two workers that are other programs, in a hurry."""
    with subprocess.Popen(
        [sys.executable, "-c", SUPERVISE, *command], cwd=ROOT, stderr=subprocess.PIPE, text=True
    ) as server:
        try:
            yield server
        finally:
            server.kill()


@pytest.mark.parametrize(
    ("command", "text"),
    [
        ((sys.executable, "-c", ENDS), "ended with code 3; another one starts in 1 s"),
        ((sys.executable, "-c", HANGS_UP), "ended by SIGKILL; another one starts in 1 s"),
        (("/nowhere/python",), "can't be started: No such file or directory; another one starts in 1 s"),
    ],
)
def test_workers_that_die_at_once_are_waited_for(command: tuple[str, ...], text: str) -> None:
    """Where every worker dies at once, the log says so, another one starts later and later, and a signal ends it."""
    with supervising(*command) as server:
        read_until(server, text)
        server.terminate()
        assert ends(server, []) == 0


def test_a_worker_that_does_not_end_is_killed() -> None:
    """A worker that is still there when its requests have had their time is killed, and the code is then 1."""
    with supervising(sys.executable, "-c", HANGS) as server:
        read_until(server, "begins")
        read_until(server, "begins")
        server.terminate()
        read_until(server, "is killed before it has answered every request")
        assert ends(server, []) == 1


@dataclass(frozen=True)
class Interrupted(Launcher):
    """Starts workers just when a signal comes."""

    async def start(self, number: int, on_taken: Callable[[], None]) -> WorkerProcess:
        """Send the signal, let it be heard, and start."""
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(0.05)
        return await super().start(number, on_taken)


async def test_a_worker_that_starts_while_all_end_ends_too(tmp_path: Path) -> None:
    """A signal that comes while a worker is being started ends that one as well, with 0."""
    settings = Settings(port=0, models_dir=tmp_path, workers=1)
    with (tmp_path / "lock").open("wb") as lock, open_port(settings) as listener:
        launcher = Interrupted(settings, "", lock.fileno(), command_of("work_tiny"))
        assert await Supervisor(launcher, listener).run() == 0


def test_another_folder_called_app_is_not_taken_for_the_service(tmp_path: Path) -> None:
    """Workers are found where the command was, whatever lies in the working directory."""
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "__init__.py").write_text("raise ImportError")
    command = [sys.executable, "-P", "-c", "from app.cli import main; main()", "serve", "--port", "0", "--workers", "2"]
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        workers = [worker_of(server) for _ in range(WORKERS)]
        server.terminate()
        assert ends(server, workers) == 0


async def test_a_signal_before_it_serves_is_remembered(tmp_path: Path) -> None:
    """A worker that is asked to end before it has begun ends as soon as it has."""
    pipe, channel = socket.socketpair()
    with pipe, channel:
        server = WorkerServer(uvicorn.Config(create_app()), Settings(), Lifecycle(), pipe, channel, Peers(), NOBODY)
        server.handle_exit(signal.SIGINT, None)
        assert not server.should_exit
        server.handle_exit(signal.SIGTERM, None)
        assert server.should_exit


def test_what_is_wrong_with_a_worker_is_told() -> None:
    """Of a worker that is not ready each version that is not READY is told, or that there is none."""
    bad = Version(name="tiny", version=1, state="UNAVAILABLE", reason="it is broken")
    good = Version(name="tiny", version=2, state="READY", reason=None)
    loaded = Loaded(ready=False, versions=(bad, good, bad), story="")
    assert faults(loaded) == ", ".join(["tiny version 1 is UNAVAILABLE (it is broken)"] * 2)
    assert "no model" in faults(Loaded(ready=False, versions=(), story=""))


def test_the_pauses() -> None:
    """The first that dies is replaced at once; while they die at once the pauses double, up to the longest."""
    assert [pause_after(deaths) for deaths in range(5)] == [0, 0, 1, 2, 4]
    assert pause_after(100) == LONGEST_PAUSE_S


@dataclass(frozen=True)
class Broken(Launcher):
    """Starts no worker, by a bug."""

    async def start(self, number: int, on_taken: Callable[[], None]) -> WorkerProcess:
        """Fail."""
        raise AssertionError(f"a bug with worker {number}")


async def test_a_supervisor_with_a_bug_ends(tmp_path: Path) -> None:
    """A supervisor that fails in a way that it does not know ends, rather than serving by fewer workers."""
    settings = Settings(port=0, models_dir=tmp_path, workers=1)
    with open_port(settings) as listener, pytest.raises(AssertionError, match="a bug with worker 1"):
        await Supervisor(Broken(settings, "", 0, ()), listener).run()
