"""How long the service takes until it is ready, and what it then holds, beside ``import tensorflow`` and a bare echo."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from http.client import HTTPConnection
from pathlib import Path

from benchmarks.flows.specs import FLOWS, WORK, FlowSpec
from benchmarks.results import Results, Start
from benchmarks.service.apps.common import HOST
from benchmarks.service.errors import NeverReady
from benchmarks.service.processes import Server
from benchmarks.service.requests import free_port
from benchmarks.service.servers import ECHO, SERVERS, gyoza

__all__ = ["ECHO_START", "FROM_KERAS", "FROM_PLAN", "TENSORFLOW", "start_all"]

FROM_KERAS, FROM_PLAN, TENSORFLOW, ECHO_START = "gyoza from .keras", "gyoza from a plan", "import tensorflow", "echo"
FLOW = FLOWS["small-additive"]
LIMIT_S = 120
POLL_S = 0.01
SETTLE_S = 1.0
"""Memory is read so long after the process is ready."""
WAIT_FOREVER = "import tensorflow, sys, threading; print('ready', flush=True); threading.Event().wait()"


@dataclass(frozen=True)
class Candidate:
    """One thing to start."""

    name: str
    command: Callable[[int], list[str]]
    """The port to what starts it."""
    ready: Callable[[int, Path], bool]
    """Whether it is ready, by its port or the file with what it printed."""


def ready_by_word(_: int, log: Path) -> bool:
    """Whether the process has printed that it is ready."""
    return "ready" in log.read_text(errors="replace").split()


def ready_by_answer(port: int, _: Path) -> bool:
    """Whether anything answers, whatever it says."""
    return status_of(port, "/") is not None


def ready_by_readyz(port: int, _: Path) -> bool:
    """Whether the service says that every model is ready.

    Raises:
        NeverReady: A model is UNAVAILABLE.
    """
    status = status_of(port, "/readyz")
    if status == 503:
        with closing(HTTPConnection(HOST, port, timeout=5)) as connection:
            connection.request("GET", "/models")
            models = json.loads(connection.getresponse().read())["models"]
        reasons = [model["reason"] for model in models if model["state"] == "UNAVAILABLE"]
        if reasons or not models:
            raise NeverReady(f"it serves nothing: {'; '.join(reasons) or 'no model was found'}")
    return status == 200


def status_of(port: int, path: str) -> int | None:
    """Return the status of a GET; None if nothing listens yet."""
    with closing(HTTPConnection(HOST, port, timeout=5)) as connection:
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except OSError:
            return None


def candidates(flow: FlowSpec) -> list[Candidate]:
    """Return what is started, in turn."""
    return [
        Candidate(TENSORFLOW, lambda _: [sys.executable, "-c", WAIT_FOREVER], ready_by_word),
        Candidate(ECHO_START, lambda port: SERVERS[ECHO].command(port, flow), ready_by_answer),
        Candidate(FROM_KERAS, lambda port: gyoza(port, flow.keras_models), ready_by_readyz),
        Candidate(FROM_PLAN, lambda port: gyoza(port, flow.plan_models), ready_by_readyz),
    ]


def start_all(results: Results, rounds: int) -> Iterator[str]:
    """Add to the results how everything starts, and yield a line for each start."""
    for _ in range(rounds):
        for candidate in candidates(FLOW):
            yield from start_one(results, candidate)


def start_one(results: Results, candidate: Candidate) -> Iterator[str]:
    """Start one candidate once; what goes wrong is kept with the results."""
    try:
        found = start(candidate)
    except NeverReady as error:
        results.errors.append(f"{candidate.name}: {error}")
        yield results.errors[-1]
    else:
        results.starts.append(found)
        yield f"{found.what:20} ready after {found.seconds:6.2f} s, memory {found.held_mib:6.1f} MiB"


def start(candidate: Candidate) -> Start:
    """Start a candidate, wait until it is ready, and read its memory.

    Raises:
        NeverReady: It did not become ready.
    """
    port = free_port()
    log = WORK / "logs" / f"start-{candidate.name.replace(' ', '-')}.log"
    with Server(candidate.command(port), log) as server:
        while not candidate.ready(port, log):
            if not server.alive or time.perf_counter() > server.began + LIMIT_S:
                raise NeverReady(f"it must be ready within {LIMIT_S} s, and was not")
            time.sleep(POLL_S)
        seconds = time.perf_counter() - server.began
        time.sleep(SETTLE_S)
        memory = server.memory()
    return Start(candidate.name, seconds, **asdict(memory))
