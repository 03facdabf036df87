"""Requests: one by one from Python to look at the answers, and many by wrk to measure."""

import http.client
import json
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.service.apps.common import HOST

__all__ = ["Answer", "Burst", "Request", "free_port", "post", "wrk", "wrk_version"]

SCRIPT = Path(__file__).with_name("load.lua")
GRACE_S = 150
"""How much longer than asked wrk may take, for the answers that are under way."""
NEIGHBOURS = 3
"""So many ports in a row are free: some servers take more than one."""


@dataclass(frozen=True)
class Request:
    """One POST."""

    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes


@dataclass(frozen=True)
class Burst:
    """What wrk counted."""

    requests: int
    seconds: float
    mean_ms: float
    p50_ms: float
    p99_ms: float
    statuses: int
    """Answers of status 400 and above."""
    broken: int
    """Connections that failed or timed out."""


def post(port: int, request: Request, timeout: float = 60) -> Answer:
    """Send one request on a connection of its own.

    Raises:
        OSError: Nothing answers there.
    """
    connection = http.client.HTTPConnection(HOST, port, timeout=timeout)
    try:
        connection.request("POST", request.path, request.body, dict(request.headers))
        answer = connection.getresponse()
        return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
    finally:
        connection.close()


def wrk(port: int, request: Request, connections: int, seconds: int) -> Burst:
    """Send one request again and again on so many connections, each as soon as its last answer came.

    Raises:
        RuntimeError: wrk failed.
    """
    with tempfile.NamedTemporaryFile() as file:
        file.write(request.body)
        file.flush()
        headers = [f"{name}={value}" for name, value in request.headers.items()]
        load = [f"-c{connections}", f"-d{seconds}s", "--timeout", "60s", "-s", str(SCRIPT), f"http://{HOST}:{port}"]
        done = subprocess.run(
            [str(shutil.which("wrk")), "-t1", *load, "--", file.name, request.path, *headers],
            capture_output=True,
            text=True,
            timeout=seconds + GRACE_S,
            check=False,
        )
    found = [line.removeprefix("RESULT ") for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    if not found:
        raise RuntimeError(f"wrk must report what it counted. Received: {(done.stderr or done.stdout).strip()[-300:]}")
    return Burst(**json.loads(found[0]))


def wrk_version() -> str | None:
    """Return the version of wrk; None where it is not installed."""
    command = shutil.which("wrk")
    if command is None:
        return None
    done = subprocess.run([command, "--version"], capture_output=True, text=True, check=False)
    return done.stdout.partition(" [")[0].removeprefix("wrk ")


def free_port() -> int:
    """Return a port that is free, as are those after it."""
    while True:
        with socket.create_server((HOST, 0)) as listener:
            first: int = listener.getsockname()[1]
        if all(is_free(port) for port in range(first, first + NEIGHBOURS)):
            return first


def is_free(port: int) -> bool:
    """Whether nothing listens on a port."""
    try:
        socket.create_server((HOST, port)).close()
    except (OSError, OverflowError):
        return False
    return True
