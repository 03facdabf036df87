"""A server process seen from outside: what it answers, and what it takes of the machine."""

import re
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from typing import Self

from tests.app.http.requests import head

SECONDS = 20


@dataclass(frozen=True)
class Server:
    """A server, its processes, and its log."""

    address: str
    processes: list[int]
    log: Path

    @classmethod
    def of(cls, process: Popen[str], address: str, log: Path) -> Self:
        """Take a process and those that it started, once each has what it opens with its first connection."""
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        server = cls(address, [process.pid, *map(int, children)], log)
        with ExitStack() as clients:
            for _ in server.processes:
                client = clients.enter_context(server.connect())
                client.sendall(head("GET /livez"))
                assert client.recv(2**16)
        return server

    @property
    def place(self) -> tuple[str, int]:
        """Where it listens."""
        return "127.0.0.1", int(self.address.rpartition(":")[2])

    def connect(self) -> socket.socket:
        """Open a connection."""
        return socket.create_connection(self.place, timeout=SECONDS)

    def ask(self, *pieces: bytes, pause: float = 0.0) -> bytes:
        """Send pieces, and read until the server closes the connection."""
        with self.connect() as client:
            for piece in pieces:
                client.sendall(piece)
                time.sleep(pause)
            return rest(client)

    def files(self) -> int:
        """Count the open files of all its processes."""
        return sum(len(list(Path(f"/proc/{process}/fd").iterdir())) for process in self.processes)

    def memory(self) -> int:
        """Count the bytes of memory in use of all its processes."""
        texts = [Path(f"/proc/{process}/status").read_text() for process in self.processes]
        return sum(int(re.findall(r"VmRSS:\s+(\d+)", text)[0]) * 1024 for text in texts)

    def settle(self, files: int) -> None:
        """Wait until no more files are open than there were."""
        wait_until(lambda: self.files() <= files)


def rest(client: socket.socket) -> bytes:
    """Read until the server closes the connection."""
    found = b""
    while part := client.recv(2**16):
        found += part
    return found


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until something holds."""
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)
