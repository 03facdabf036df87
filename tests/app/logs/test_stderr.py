"""Lines that somebody takes, and lines that nobody takes."""

import fcntl
import logging
import os
import re
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from app.logs.stderr import MORE, StderrHandler
from app.logs.turns import SharedTurns, Turns
from tests.app.servers import ROOT, SECONDS, serving
from tests.app.worlds import LATENTS

FILLER = b"x" * 4095 + b"\n"
LONG = "y" * 2**20
"""A line for which no pipe has room."""
TIMES, FAR_LESS_S = 100, 18.0
"""So many pairs of requests take far less, and more where each request waits as long as a line may; a pause changes nothing."""


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Both ends of a pipe."""
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


@pytest.fixture(params=["alone", "shared"])
def turns(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Turns]:
    """The turns of one process, and of several."""
    with (tmp_path / "lock").open("wb") as lock:
        yield SharedTurns(lock.fileno()) if request.param == "shared" else Turns()


def handler_of(turns: Turns, file: int) -> StderrHandler:
    """A handler that writes messages alone."""
    handler = StderrHandler(turns, file)
    handler.setFormatter(logging.Formatter("%(message)s"))
    return handler


def record(text: str, *, more: bool = False) -> logging.LogRecord:
    """A record of a message."""
    return logging.makeLogRecord({"msg": text, MORE: more})


def fill(file: int) -> None:
    """Write to a pipe until it is full."""
    os.set_blocking(file, False)
    try:
        while True:
            os.write(file, FILLER)
    except BlockingIOError:
        os.set_blocking(file, True)


def drain(file: int) -> str:
    """Read all that is in a pipe, but for what filled it."""
    os.set_blocking(file, False)
    content = b""
    try:
        while found := os.read(file, 2**16):
            content += found
    except BlockingIOError:
        return content.replace(FILLER, b"").decode()
    raise AssertionError


def test_lines_that_nobody_takes_are_counted(pipe: tuple[int, int], turns: Turns) -> None:
    """Lines for a pipe that is full are lost at once; when there is room again, the next line follows how many were."""
    read, write = pipe
    handler = handler_of(turns, write)
    fill(write)
    for number in range(3):
        handler.emit(record(f"lost {number}"))
    drain(read)
    handler.emit(record("kept"))
    handler.emit(record("kept, too"))
    assert drain(read) == "3 lines of the log were lost, since they could not be written\nkept\nkept, too\n"


def test_a_line_for_which_there_is_no_room_is_cut(pipe: tuple[int, int], turns: Turns) -> None:
    """A line that is longer than a pipe whose reader is stuck holds up nobody; after its begin comes a line break."""
    read, write = pipe
    handler = handler_of(turns, write)
    handler.emit(record(LONG))
    handler.emit(record("lost, too"))
    assert set(drain(read)) == {"y"}
    handler.emit(record("kept"))
    handler.emit(record("kept, too"))
    assert drain(read) == "\n2 lines of the log were lost, since they could not be written\nkept\nkept, too\n"


def test_lines_together_are_lost_from_the_cut_on(pipe: tuple[int, int], turns: Turns) -> None:
    """Of lines that are written together those count as lost that are not there as a whole."""
    read, write = pipe
    handler = handler_of(turns, write)
    for text in ("kept", LONG, "lost"):
        handler.emit(record(text, more=text != "lost"))
    assert re.fullmatch(r"kept\ny+", drain(read))
    handler.emit(record("again"))
    assert drain(read) == "\n2 lines of the log were lost, since they could not be written\nagain\n"


def test_another_process_ends_a_line_that_was_cut(pipe: tuple[int, int], tmp_path: Path) -> None:
    """Whichever process writes after a line that lacks its end, it begins a line of its own."""
    read, write = pipe
    with (tmp_path / "lock").open("wb") as lock:
        first, second = (handler_of(SharedTurns(lock.fileno()), write) for _ in range(2))
        first.emit(record(LONG))
        drain(read)
        second.emit(record("second"))
        first.emit(record("first"))
    assert drain(read) == "\nsecond\n1 lines of the log were lost, since they could not be written\nfirst\n"


def test_what_tells_of_lost_lines_may_be_cut_itself(pipe: tuple[int, int], turns: Turns) -> None:
    """Where the log ends within the line about those that were lost, that is told again with what came since."""
    read, write = pipe
    handler = handler_of(turns, write)
    handler.setFormatter(logging.Formatter(f"%(message)s{LONG}"))
    fill(write)
    handler.emit(record("lost"))
    drain(read)
    handler.emit(record("lost"))
    assert re.fullmatch("1 lines of the log were lost, since they could not be written ?y+", drain(read))
    handler.setFormatter(logging.Formatter("%(message)s"))
    handler.emit(record("kept"))
    assert drain(read) == "\n2 lines of the log were lost, since they could not be written\nkept\n"


def test_lines_wait_for_the_one_that_follows(pipe: tuple[int, int], turns: Turns) -> None:
    """A line after which another one follows at once is written with it, in their order."""
    read, write = pipe
    handler = handler_of(turns, write)
    handler.emit(record("first", more=True))
    assert not drain(read)
    handler.emit(record("second"))
    assert drain(read) == "first\nsecond\n"


def test_without_its_turn_a_line_is_lost(pipe: tuple[int, int], tmp_path: Path) -> None:
    """Where the file that processes lock can't be locked, lines are lost rather than mixed, and nothing fails."""
    read, write = pipe
    with (tmp_path / "lock").open("wb") as lock:
        handler = handler_of(SharedTurns(lock.fileno()), write)
    handler.emit(record("lost"))
    assert not drain(read)


def test_who_has_waited_too_long_waits_no_more(
    pipe: tuple[int, int], turns: Turns, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the log has waited a little longer than it may, a line is lost at once, rather than waited for without end."""
    monkeypatch.setattr("app.logs.stderr.SAVED_S", -0.001)
    read, write = pipe
    fill(write)
    handler_of(turns, write).emit(record("lost"))
    assert not drain(read)


def test_where_the_system_cannot_tell_of_room(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """On a system that can't tell whether there is room, lines are just written."""
    monkeypatch.delattr(select, "poll")
    read, write = pipe
    handler_of(Turns(), write).emit(record("kept"))
    assert drain(read) == "kept\n"


def seconds_of(client: httpx.Client) -> float:
    """Make two requests, the second with a long line in the log; return the seconds until both were answered."""
    answers = [client.post("/encode", json={"latents": LATENTS}), client.get(f"/{'y' * 10_000}")]
    assert [answer.status_code for answer in answers] == [200, 404]
    return sum(answer.elapsed.total_seconds() for answer in answers)


@pytest.mark.skipif(not hasattr(fcntl, "F_SETPIPE_SZ"), reason="needs a pipe of a known size")
@pytest.mark.parametrize("workers", [1, 2])
def test_a_reader_that_is_stuck_holds_up_no_request(folder: Path, workers: int, pipe: tuple[int, int]) -> None:
    """A server whose log nobody reads answers every request; when somebody reads again, it says how many lines were lost."""
    read, write = pipe
    fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, 4096)
    with (
        serving(folder, "--workers", str(workers), stderr=write) as (server, address, _),
        httpx.Client(base_url=address, timeout=SECONDS) as client,
    ):
        assert sum(seconds_of(client) for _ in range(TIMES)) < FAR_LESS_S
        found = drain(read)
        while "lines of the log were lost" not in found:
            assert client.get("/livez").status_code == 200
            found += drain(read)
        server.terminate()
        assert server.wait(SECONDS) == 0


STOPPED = """
import os, signal, sys
with open(sys.argv[1], "r+b") as lock:
    os.lockf(lock.fileno(), os.F_LOCK, 0)
    os.kill(os.getpid(), signal.SIGSTOP)
"""


@contextmanager
def stopped_in_its_turn(lock: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that stands still while it may write to the log."""
    with subprocess.Popen([sys.executable, "-c", STOPPED, str(lock)]) as process:
        try:
            assert os.WIFSTOPPED(os.waitpid(process.pid, os.WUNTRACED)[1])
            yield process
        finally:
            process.kill()


def log_lock(server: int) -> Path:
    """The file that the processes of a server lock while they write to the log: it is on disk, and has no name."""
    files = Path(f"/proc/{server}/fd").iterdir()
    targets = {file: str(file.readlink()) for file in files}
    (found,) = (file for file, to in targets.items() if to.endswith(" (deleted)") and not to.startswith("/memfd:"))
    return found


def test_a_process_that_is_stopped_in_its_turn_costs_lines(pipe: tuple[int, int], tmp_path: Path) -> None:
    """While a process stands still in its turn, the lines of others are lost; after it they write again."""
    read, write = pipe
    path = tmp_path / "lock"
    with path.open("wb") as lock:
        handler = handler_of(SharedTurns(lock.fileno()), write)
        with stopped_in_its_turn(path):
            handler.emit(record("lost"))
            handler.emit(record("lost, too"))
            assert not select.select([read], [], [], 0)[0]
        handler.emit(record("kept"))
    assert drain(read) == "2 lines of the log were lost, since they could not be written\nkept\n"


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs to find the file that a server locks")
def test_a_process_that_is_stopped_in_its_turn_holds_up_no_request(folder: Path) -> None:
    """A server of which a process stands still while it may write answers every request, and ends when it is asked to."""
    with (
        serving(folder, "--workers", "2") as (server, address, _),
        httpx.Client(base_url=address, timeout=SECONDS) as client,
        stopped_in_its_turn(log_lock(server.pid)),
    ):
        assert sum(seconds_of(client) for _ in range(TIMES)) < FAR_LESS_S
        server.terminate()
        assert server.wait(SECONDS) == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("workers", [1, 2])
def test_a_full_disk_fails_no_request(folder: Path, workers: int) -> None:
    """A server whose log can't be written answers every request, ends when it is asked to, and with the code 0."""
    with (
        Path("/dev/full").open("wb") as full,
        serving(folder, "--workers", str(workers), stderr=full) as (server, address, _),
        httpx.Client(base_url=address, timeout=SECONDS) as client,
    ):
        for _ in range(50):
            assert client.post("/encode", json={"latents": LATENTS}).status_code == 200
            assert client.get("/nope").status_code == 404
        server.terminate()
        assert server.wait(SECONDS) == 0


LOG = """
import logging, sys
from app.logs import configure_logging, stderr
from app.settings import Settings
stderr.AT_ONCE_S = stderr.SAVED_S = 60
configure_logging(Settings(), int(sys.argv[1]))
for _ in range(20):
    logging.getLogger("gyoza").info(sys.argv[2] * 100_000)
"""


def test_lines_of_several_processes_stay_whole(tmp_path: Path) -> None:
    """Lines of any length that several processes write to one pipe at once do not mix."""
    read, write = os.pipe()
    with (tmp_path / "lock").open("wb") as lock:
        command = [sys.executable, "-c", LOG, str(lock.fileno())]
        processes = [
            subprocess.Popen([*command, letter], cwd=ROOT, stderr=write, pass_fds=[lock.fileno()]) for letter in "ab"
        ]
        os.close(write)
        with os.fdopen(read, encoding="utf-8") as lines:
            found = {line.partition("gyoza: ")[2] for line in lines}
    assert [process.wait() for process in processes] == [0, 0]
    assert found == {f"{letter * 100_000}\n" for letter in "ab"}
