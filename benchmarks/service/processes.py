"""Start a server, find all of its processes, and read their CPU time and memory (of Linux' /proc).

A server's processes are those below the one that was started, and any that carries its mark in the environment, since some
servers detach helpers. Only these are ever ended, by id, and only if the id still means the same process.
"""

import os
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.flows.specs import ROOT

__all__ = ["Memory", "Server", "clients_of", "machine_seconds"]

PROC = Path("/proc")
TICKS = os.sysconf("SC_CLK_TCK")
MARK = "BENCHMARKS_PROCESS"
PAGES = frozenset({"Rss", "Pss", "Private_Clean", "Private_Dirty"})
PATIENCE_S = 12.0
"""How long a server may take to end by itself."""


@dataclass(frozen=True)
class Status:
    """What /proc says of one process."""

    parent: int
    began: int
    """In ticks since the machine's start; with the id it names a process for ever."""
    cpu_s: float
    """Its own and that of its children that ended."""
    zombie: bool


@dataclass(frozen=True)
class Memory:
    """What all processes of a server hold, by the operating system."""

    held_mib: float
    """Private pages of all, and the shared ones of the process that has most of them: what it would take alone on the machine,
    whoever else maps the same libraries now."""
    pss_mib: float
    """Shared pages divided among all processes of the machine that share them."""
    rss_mib: float
    """Shared pages counted for each process."""


def status_of(pid: int) -> Status | None:
    """Read the status of a process; None if it is gone."""
    try:
        fields = (PROC / str(pid) / "stat").read_text().rsplit(") ", 1)[1].split()
    except OSError:
        return None
    return Status(int(fields[1]), int(fields[19]), sum(map(int, fields[11:15])) / TICKS, fields[0] == "Z")


def machine_seconds() -> float:
    """Return the CPU seconds that anyone has used since the machine's start."""
    line = (PROC / "stat").read_text().partition("\n")[0]
    user, nice, system, _, _, irq, softirq, steal = map(int, line.split()[1:9])
    return (user + nice + system + irq + softirq + steal) / TICKS


class Server:
    """A server that was started, ended with its ``with`` block.

    Args:
        command: What starts it, in the foreground.
        log: The file that takes what it prints.
        environment: Beside the variables of this process; ``PYTHONPATH`` is the project's folder.
    """

    def __init__(self, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None) -> None:
        """Start it."""
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        self._mark = uuid.uuid4().hex
        variables = {**os.environ, **(environment or {}), MARK: self._mark, "PYTHONPATH": str(ROOT)}
        variables.pop("PYTHONDONTWRITEBYTECODE", None)
        self._known: dict[int, int] = {}
        self.began = time.perf_counter()
        with log.open("wb") as file:
            self._root = subprocess.Popen(
                command,
                env=variables,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        """End it."""
        self.stop()

    @property
    def alive(self) -> bool:
        """Whether the process that was started still runs."""
        return self._root.poll() is None

    @property
    def root(self) -> int:
        """The id of the process that was started."""
        return self._root.pid

    @property
    def children(self) -> list[int]:
        """The ids of the processes that the one that was started has started, and that live."""
        return sorted(pid for pid, status in self._processes().items() if status.parent == self._root.pid)

    def cpu_seconds(self) -> float:
        """Return the CPU seconds that all of its processes have used."""
        return sum(status.cpu_s for status in self._processes().values())

    def memory(self) -> Memory:
        """Return what all of its processes hold."""
        found = [pages for pid in self._processes() if (pages := pages_of(pid))]
        total = {name: sum(pages[name] for pages in found) / 1024 for name in PAGES}
        shared = max((pages["Rss"] - private(pages) for pages in found), default=0) / 1024
        return Memory(private(total) + shared, total["Pss"], total["Rss"])

    def stop(self) -> None:
        """End it: by asking the process that was started, then all that are left, then by force."""
        self._processes()
        if self.alive:
            self._root.send_signal(signal.SIGTERM)
        wait_until(lambda: not self.alive, PATIENCE_S)
        for number in (signal.SIGTERM, signal.SIGKILL):
            self._processes()
            for pid in self._left():
                try_to_signal(pid, number)
            wait_until(lambda: not self.alive and not self._left(), PATIENCE_S / 4)

    def _processes(self) -> dict[int, Status]:
        """Return the live processes, and remember them."""
        statuses = {pid: status for pid in pids() if (status := status_of(pid))}
        mine = {self._root.pid} | {pid for pid in statuses if self._is_marked(pid)}
        while more := {pid for pid, status in statuses.items() if status.parent in mine} - mine:
            mine |= more
        found = {pid: statuses[pid] for pid in mine if pid in statuses and not statuses[pid].zombie}
        self._known |= {pid: status.began for pid, status in found.items()}
        return found

    def _is_marked(self, pid: int) -> bool:
        try:
            return f"{MARK}={self._mark}".encode() in (PROC / str(pid) / "environ").read_bytes()
        except OSError:
            return False

    def _left(self) -> list[int]:
        statuses = {pid: status_of(pid) for pid in self._known}
        return [
            pid for pid, found in statuses.items() if found and found.began == self._known[pid] and not found.zombie
        ]


def wait_until(condition: Callable[[], bool], seconds: float) -> None:
    """Wait until something holds, at most so long."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)


def pids() -> Iterator[int]:
    """Yield the ids of all processes."""
    yield from (int(entry.name) for entry in PROC.iterdir() if entry.name.isdecimal())


def pages_of(pid: int) -> dict[str, float] | None:
    """Return the KiB that one process holds of each of ``PAGES``; None if it is gone."""
    try:
        lines = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()
    except OSError:
        return None
    kib = {line.partition(":")[0]: float(line.split()[1]) for line in lines if line.endswith(" kB")}
    return {name: kib[name] for name in PAGES} if kib.keys() >= PAGES else None


def clients_of(pid: int) -> set[int]:
    """Return the ports at the other end of the TCP connections that a process has open."""
    folder = PROC / str(pid)
    sockets = set()
    for file in (folder / "fd").iterdir():
        with suppress(OSError):  # Closed meanwhile.
            sockets.add(str(file.readlink()))
    lines = (line.split() for line in (folder / "net" / "tcp").read_text().splitlines()[1:])
    return {int(fields[2].rpartition(":")[2], 16) for fields in lines if f"socket:[{fields[9]}]" in sockets}


def private(pages: Mapping[str, float]) -> float:
    """Return the pages that no other process has."""
    return pages["Private_Clean"] + pages["Private_Dirty"]


def try_to_signal(pid: int, number: int) -> None:
    """Send a signal, unless the process has ended meanwhile."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
