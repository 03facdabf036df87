"""What Ray Serve adds to the service, and what a second replica brings: ``make ray-bench``, in less than four minutes.

Every server serves the bundled model on this machine, one after the other, and is asked by the same loads, which share the
machine's cores with it. Each figure is the median of several bursts.
"""

import os
import re
import statistics
import subprocess
import sys
import tempfile
from argparse import ArgumentParser
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np
import orjson
from safetensors.numpy import save

from benchmarks.machine import machine
from benchmarks.service.requests import Burst, Request, free_port, wrk

ROOT = Path(__file__).parents[2]
MODELS = ROOT / "models"
CLUSTER = Path(__file__).with_name("cluster.py")
SIZE = 32
COPIES = 16
PATIENCE_S = 60
SAFETENSORS = "application/vnd.safetensors"
ENVIRONMENT = {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
PROXIES = {
    "Ray's proxy": {"RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "app.hosting.around_proxy"},
    "HAProxy": {"RAY_SERVE_ENABLE_HA_PROXY": "1"},
}
"""What each is asked for by."""
PROCESSES = ("ServeReplica", "ProxyActor", "ServeController")


class Load(NamedTuple):
    """Requests of so many rows, again and again on so many connections."""

    title: str
    rows: int
    connections: int
    figure: Callable[[Burst, int], float]

    @property
    def request(self) -> Request:
        """One row as people write it, more as programs do."""
        rows = np.random.RandomState(0).standard_normal((self.rows, SIZE)).astype(np.float32)
        if self.rows == 1:
            return Request("/encode", {"Content-Type": "application/json"}, orjson.dumps({"latents": rows.tolist()}))
        return Request("/encode", {"Content-Type": SAFETENSORS, "Accept": SAFETENSORS}, save({"latents": rows}))


LOADS = (
    Load("1 row, 1 client: p50 ms", 1, 1, lambda burst, _: burst.p50_ms),
    Load("1 row, 16 clients: requests/s", 1, 16, lambda burst, _: burst.requests / burst.seconds),
    Load("64 rows, 4 clients: rows/s", 64, 4, lambda burst, rows: rows * burst.requests / burst.seconds),
    Load("1,024 rows, 2 clients: rows/s", 1024, 2, lambda burst, rows: rows * burst.requests / burst.seconds),
)
Figures = Mapping[str, list[float]]


def main() -> None:
    """Measure, and print a table in Markdown."""
    parser = ArgumentParser(description="Measure what Ray Serve adds to the service.")
    parser.add_argument("--bursts", type=int, default=3, help="bursts of each load, of which the median counts")
    parser.add_argument("--seconds", type=int, default=1, help="seconds of each burst")
    given = parser.parse_args()
    measured: dict[str, list[float]] = {}
    memory: dict[str, float] = {}
    for title, port in servers(memory):
        measured[title] = [median_of(load, port, given.bursts, given.seconds) for load in LOADS]
        print(row(title, measured[title]), flush=True)
    print("\n" + "\n".join(report(measured, memory)))


def servers(memory: dict[str, float]) -> Iterator[tuple[str, int]]:
    """Yield each server's name and port while it runs; note what processes need in memory, in MiB."""
    with tempfile.TemporaryDirectory(prefix="gyoza-") as folder:
        for number in range(COPIES):
            (Path(folder) / f"digits-{number}").symlink_to(MODELS / "digits")
        with plain("--models-dir", folder) as (_, process):
            memory[f"gyoza serve, {COPIES} copies of the model"] = megabytes(process)
    for workers in (1, 2):
        with plain(f"--workers={workers}") as (port, process):
            if workers == 1:
                memory["gyoza serve, the model"] = megabytes(process)
            yield f"gyoza serve --workers {workers}", port
    for name, variables in PROXIES.items():
        with cluster(variables) as (port, add):
            for replicas in ("1 replica", "2 replicas"):
                add()
                if replicas == "1 replica":
                    memory |= ray_memory(name)
                yield f"Ray Serve behind {name}, {replicas}", port


@contextmanager
def plain(*arguments: str) -> Iterator[tuple[int, int]]:
    """The port and the process of a server without Ray."""
    script = "from app.cli import main; main()"
    with started("-c", script, "serve", "--port=0", "--log-level=warning", *arguments) as server:
        banner = told(server, "curl")
        found = re.search(r"Serving on http://[\d.]+:(\d+)", banner)
        if found is None:
            raise RuntimeError(f"gyoza serve must tell where it serves. Received: {banner}")
        yield int(found[1]), server.pid


@contextmanager
def cluster(variables: Mapping[str, str]) -> Iterator[tuple[int, Callable[[], None]]]:
    """The port of Ray Serve on this machine alone, and what adds a replica; there is none yet."""
    port = free_port()
    with started(str(CLUSTER), str(port), **variables) as server:

        def add() -> None:
            print(file=server.stdin, flush=True)
            told(server, "ready")

        told(server, "started")
        yield port, add
        server.communicate(timeout=PATIENCE_S)  # Its input ends, and so it does.


@contextmanager
def started(*arguments: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """A process of Python's, which is asked to end at the end, and waited for."""
    environment = {**os.environ, **ENVIRONMENT, **variables}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    command = [sys.executable, *arguments]
    with subprocess.Popen(command, cwd=ROOT, env=environment, text=True, **pipes) as process:
        try:
            yield process
        finally:
            process.terminate()
            process.communicate(timeout=PATIENCE_S)


def told(process: subprocess.Popen[str], word: str) -> str:
    """Return what a process printed, up to a line with a word in it."""
    text = ""
    for line in process.stdout or ():
        text += line
        if word in line:
            return text
    raise RuntimeError(f"The process must print {word!r}, and ended before. Received: {text}")


def median_of(load: Load, port: int, bursts: int, seconds: int) -> float:
    """Put a server under a load a few times, after a short one that does not count; every answer must be a success."""
    wrk(port, load.request, load.connections, 1)
    found = [wrk(port, load.request, load.connections, seconds) for _ in range(bursts)]
    if wrong := sum(burst.statuses + burst.broken for burst in found):
        raise RuntimeError(f"Every request must be answered with a success. Received: {wrong} others at {load.title}.")
    return statistics.median(load.figure(burst, load.rows) for burst in found)


def ray_memory(name: str) -> dict[str, float]:
    """Return what the processes of Ray need besides the models, in MiB."""
    found: dict[str, float] = {}
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().split(b"\0")[0].decode()
        except OSError:  # It has ended.
            continue
        kind = next(
            (kind for kind in ("ServeReplica", "ProxyActor", "ServeController") if f"ray::{kind}" in command), None
        )
        if kind:
            found[f"{kind} behind {name}"] = megabytes(int(path.parent.name))
    return found


def megabytes(process: int) -> float:
    """Return the memory of a process that is resident, in MiB."""
    status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def report(measured: Figures, memory: Mapping[str, float]) -> Iterator[str]:
    """Yield the lines of the report."""
    yield ", ".join(f"{name}: {value}" for name, value in machine().items()) + f"; Ray {version('ray')}"
    yield ""
    yield "| server | " + " | ".join(load.title for load in LOADS) + " |"
    yield "|---|" + "--:|" * len(LOADS)
    yield from (row(title, figures) for title, figures in measured.items())
    yield ""
    yield "| process | resident MiB |"
    yield "|---|--:|"
    yield from (f"| {name} | {found:,.0f} |" for name, found in memory.items())


def row(title: str, figures: list[float]) -> str:
    """Return a row of the table."""
    return (
        f"| {title} | "
        + " | ".join(f"{figure:,.2f}" if figure < 100 else f"{figure:,.0f}" for figure in figures)
        + " |"
    )


if __name__ == "__main__":
    main()
