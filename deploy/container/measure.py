"""Measure the images beside each other: size, time until ready, memory and speed, in turn over some rounds.

``make image-bench`` writes the figures into ``deploy/README.md``; with ``ARGS="--rounds 1"`` it is quick, to see that it works.
"""

import json
import re
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from shutil import copy
from statistics import median
from typing import Annotated

import typer

from benchmarks.machine import machine
from benchmarks.report.markdown import table
from benchmarks.service.processes import pages_of
from benchmarks.service.requests import Request, wrk
from deploy.container.contents import composition
from deploy.container.images import SLIM, WHOLE, build
from deploy.container.running import Container
from deploy.container.tools import ROOT, ToolError

__all__ = ["main"]

HOST, PORT = "127.0.0.1", 8000
PATH = "/models/digits/factors"
MODEL = ROOT / "models" / "digits"
LIMIT_S, POLL_S, SETTLE_S = 60.0, 0.005, 1.0
LOADS = {"1 row, 16 connections": (1, 16), "64 rows, 4 connections": (64, 4)}
GUIDE = ROOT / "deploy" / "README.md"
FIGURES = re.compile(r"(<!-- figures of make image-bench -->\n).*(<!-- end of the figures -->\n)", re.DOTALL)
SHOWN = 2e6
"""What is smaller in both images is not told by name."""


@dataclass(frozen=True)
class Round:
    """What one start of one image showed."""

    ready_s: float
    """From the start of its runtime, which makes its namespaces, until ``/readyz`` is 200."""
    rss_mb: float
    pss_mb: float
    """Shared pages divided among the processes that share them, of all its processes, a second after it was ready."""
    loaded_pss_mb: float
    """The same after the loads."""
    rates: Mapping[str, float]
    """Load to requests a second."""


@contextmanager
def cases() -> Iterator[dict[str, Callable[[], Container]]]:
    """Give what is measured: name to what makes a container."""
    with tempfile.TemporaryDirectory(prefix="gyoza-") as folder:
        version = Path(folder) / "digits" / "1"
        version.mkdir(parents=True)
        copy(MODEL / "2" / "flow.keras", version)
        Path(folder).chmod(0o755)
        yield {
            "slim": lambda: Container(SLIM),
            "slim, two workers": lambda: Container(SLIM, environment={"GYOZA_WORKERS": "2"}),
            "whole": lambda: Container(WHOLE),
            "whole, the flow from `flow.keras`": lambda: Container(WHOLE, mounts={Path(folder): "/models"}),
        }


def measure(made: Container, seconds: int) -> Round:
    """Start a container, wait until it is ready, and put it under load."""
    with made as container, container.network():
        while status("/readyz") != 200:
            if time.perf_counter() > container.began + LIMIT_S or container.process.poll() is not None:
                raise ToolError(f"It must be ready within {LIMIT_S:.0f} s. Received: {container.log.read_text()}")
            time.sleep(POLL_S)
        ready_s = time.perf_counter() - container.began
        time.sleep(SETTLE_S)
        rss, pss = memory(container)
        rates = {name: rate(*load, seconds) for name, load in LOADS.items()}
        return Round(ready_s, rss, pss, memory(container)[1], rates)


def status(path: str) -> int | None:
    """Return the status of a GET; None if nothing listens yet."""
    connection = HTTPConnection(HOST, PORT, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except OSError:
        return None
    finally:
        connection.close()


def memory(container: Container) -> tuple[float, float]:
    """Return what all processes of a container hold, in MB: (RSS, PSS)."""
    found = [pages for pid in container.pids if (pages := pages_of(pid))]
    return sum(pages["Rss"] for pages in found) * 1024 / 1e6, sum(pages["Pss"] for pages in found) * 1024 / 1e6


def rate(rows: int, connections: int, seconds: int) -> float:
    """Return how many requests a second are answered.

    Raises:
        ToolError: One was not.
    """
    latents = json.loads((MODEL / "example.json").read_bytes())["latents"]
    body = json.dumps({"latents": (latents * rows)[:rows]}).encode()
    request = Request(PATH, {"Content-Type": "application/json"}, body)
    wrk(PORT, request, connections, 1)
    burst = wrk(PORT, request, connections, seconds)
    if burst.statuses or burst.broken:
        raise ToolError(f"All requests must be answered. Received: {burst}")
    return burst.requests / burst.seconds


def size_table() -> str:
    """Return what the images are made of, in Markdown."""
    found = {image: composition(image) for image in (WHOLE, SLIM)}
    names = [name for name, size in found[WHOLE].items() if size >= SHOWN and name != "else"]
    shown = {image: {name: sizes.get(name, 0) for name in names} for image, sizes in found.items()}
    totals = {image: sum(sizes.values()) for image, sizes in found.items()}
    rows = [["all, on top of the base", *(f"**{megabytes(totals[image])}**" for image in found)]]
    rows += [[f"{name}", *(megabytes(shown[image][name]) for image in found)] for name in names]
    rows += [["what is smaller", *(megabytes(totals[image] - sum(shown[image].values())) for image in found)]]
    return table(["MB (10⁶ bytes)", "whole", "slim"], rows, text_columns=1)


def megabytes(size: float) -> str:
    """Tell a size in MB."""
    return f"{size / 1e6:,.1f}" if size else "–"


def run_table(rounds: Mapping[str, list[Round]]) -> str:
    """Return how the images run, the medians of all rounds, in Markdown."""
    heads = [
        "image",
        "ready after s",
        "RSS MB",
        "PSS MB",
        "PSS MB after load",
        *(f"{name}: requests/s" for name in LOADS),
    ]
    rows = [
        [
            name,
            f"{median(each.ready_s for each in found):.2f}",
            *(
                f"{median(figures):.0f}"
                for figures in zip(*((e.rss_mb, e.pss_mb, e.loaded_pss_mb) for e in found), strict=True)
            ),
            *(f"{median(each.rates[load] for each in found):,.0f}" for load in LOADS),
        ]
        for name, found in rounds.items()
    ]
    return table(heads, rows, text_columns=1)


def main(
    rounds: Annotated[int, typer.Option(min=1, help="How often each image is started.")] = 7,
    seconds: Annotated[int, typer.Option(min=1, help="How long each load takes.")] = 3,
    keep: Annotated[bool, typer.Option(help="Whether the figures go into deploy/README.md.")] = True,
) -> None:
    """Build both images, and measure them beside each other."""
    # Containers are ended by their with blocks, also where this process is told to end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    for image in (SLIM, WHOLE):
        build(image)
    found: dict[str, list[Round]] = {}
    with cases() as known:
        for number in range(rounds):
            for name, make in known.items():
                found.setdefault(name, []).append(measure(make(), seconds))
                typer.echo(f"round {number + 1} of {rounds}: {name}: {found[name][-1]}")
    made = "{CPUs} CPUs ({processor}), {memory}, {system}".format(**machine())
    figures = f"{size_table()}\n\n{run_table(found)}\n\nMedians of {rounds} starts, in turn, on {made}.\n"
    typer.echo(f"\n{figures}")
    if keep:
        GUIDE.write_text(FIGURES.sub(lambda match: f"{match[1]}\n{figures}\n{match[2]}", GUIDE.read_text()))


if __name__ == "__main__":
    typer.run(main)
