"""Load models anew while a real server is saturated, and kill a worker meanwhile: every answer is compared.

``python -m benchmarks.reloads`` does so for a minute: ten loads, two workers, of which one is killed half-way.
``python -m benchmarks.reloads --reloads 200 --workers 1 --seconds 0`` loads as quickly as it can, and reads the memory after
each load. It leaves with code 1 if an answer was wrong, a status was neither 200 nor 429 (a full queue), a connection
broke that was not the killed worker's own, a load failed, or the memory grew by more than a twentieth after the first ten.
"""

import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, astuple
from statistics import median
from typing import Annotated, Any

import typer

from benchmarks.compute.rounds import run_python
from benchmarks.flows.specs import WORK
from benchmarks.machine import machine, versions
from benchmarks.service.changing import Admin, Changing
from benchmarks.service.processes import Memory, Server, clients_of
from benchmarks.service.requests import free_port
from benchmarks.service.servers import gyoza
from benchmarks.service.soaking import Clients, Tally
from benchmarks.soak import EXPECTED, Sample, keep, sample, told, wait

EVERY = 10
"""What is told of the memory is the median of so many loads: the bodies of requests come and go in it."""
GROWTH = 1.05
FOR_EVER_S = 1e6
SETTLED_S = 20.0
"""Before the first load where the memory is looked at: the first large requests let it grow, too."""


def main(  # noqa: PLR0913, PLR0917 - options of a command
    seconds: Annotated[float, typer.Option(min=0, help="How long; 0: as long as the loads take.")] = 60,
    reloads: Annotated[int, typer.Option(min=1, help="How often each model is loaded anew.")] = 10,
    workers: Annotated[
        int, typer.Option(min=1, help="Processes that serve; where they are several, one is killed.")
    ] = 2,
    clients: Annotated[int, typer.Option(min=1, help="How many ask at once.")] = 16,
    keras: Annotated[bool, typer.Option(help="Whether a model that TensorFlow runs is among them.")] = True,
    name: Annotated[str, typer.Option(help="Name of the files in benchmarks/results.")] = "reloads",
) -> None:
    """Load models anew under load, and compare every answer."""
    # The server is ended by its with block, also where this process is told to end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if keras:
        run_python("benchmarks.flows.called")
    folder, port = WORK / name, free_port()
    changing, admin = Changing(folder / "models", with_keras=keras), Admin(folder / "admins")
    command = [*gyoza(port, changing.folder), *admin.options, "--workers", str(workers), "--log-level", "warning"]
    with Server(command, WORK / "logs" / "reloads.log") as server:
        wait(server, port)
        run = Run(server, port, changing, admin)
        outcome = run.outcome(reloads, seconds, clients)
    keep({"workers": workers, **outcome}, name)
    raise typer.Exit(0 if outcome["right"] else 1)


class Run:
    """One run.

    Args:
        server: The server, ready.
        port: Where it listens.
        changing: Its models.
        admin: Who may load them.
    """

    def __init__(self, server: Server, port: int, changing: Changing, admin: Admin) -> None:
        """Begin."""
        self._server, self._port, self._changing, self._admin = server, port, changing, admin
        self._failed: list[str] = []
        # The ports of the clients whose connections the killed worker had.
        self._lost: set[int] = set()

    def outcome(self, reloads: int, seconds: float, count: int) -> dict[str, Any]:
        """Load under load, and return what was found."""
        begin = time.monotonic()
        asking = Clients(self._port, self._changing.cases(), seconds or FOR_EVER_S, count)
        samples: list[Sample] = []
        memories: list[Memory] = []
        pause_until(begin + (0 if seconds else SETTLED_S))
        for done in self._loads(reloads, begin, seconds):
            memories.append(self._server.memory())
            if done % EVERY == 0 or done == reloads:
                samples.append(sample(median_of(memories[-EVERY:]), time.monotonic() - begin, asking.tally))
                typer.echo(f"[{samples[-1].seconds:4.0f} s] {done} loads; {told(samples[-1], asking.tally)}")
        asking.stop()
        while asking.wait(1.0):
            pass
        return self._found(asking.tally, samples, time.monotonic() - begin, count)

    def _loads(self, reloads: int, begin: float, seconds: float) -> Iterator[int]:
        """Load again and again, spread over the time, kill a worker half-way, and yield how often it was loaded."""
        for number in range(1, reloads + 1):
            pause_until(begin + seconds * number / (reloads + 1))
            if number == reloads // 2 + 1:
                self._kill()
            self._changing.change(number)
            for model in self._changing.models:
                status, text = self._admin.load(self._port, model)
                if status != 200:
                    self._failed.append(f"{model}: {status} {text[:300]}")
            yield number
        pause_until(begin + seconds)

    def _kill(self) -> None:
        """Kill one of several workers, and remember whose connections it had."""
        workers = self._server.children
        if len(workers) < 2:
            return
        victim = workers[0]
        self._lost = clients_of(victim)
        os.kill(victim, signal.SIGKILL)

    def _found(self, tally: Tally, samples: list[Sample], passed: float, count: int) -> dict[str, Any]:
        others = [port for port in tally.broken if port not in self._lost]
        growth = growth_of(samples) if not self._lost else None
        is_right = not (tally.wrong or others or self._failed or (growth or 0) > GROWTH)
        return {
            **machine(),
            **versions(),
            "seconds": round(passed),
            "clients": count,
            "statuses": {str(status): times for status, times in sorted(tally.statuses.items())},
            "rows/s": round(tally.rows / passed),
            "wrong": tally.wrong,
            "told": tally.told,
            "connections of the killed worker, broken ones": [len(self._lost), len(tally.broken)],
            "broken ones of others": len(others),
            "loads that failed": self._failed,
            "memory of the last ten loads by that of the second ten": growth and round(growth, 3),
            "samples": [asdict(found) for found in samples],
            "right": is_right
            and {*tally.statuses} <= EXPECTED | {0}
            and tally.statuses[200] > 0
            and self._server.alive,
        }


def median_of(memories: Sequence[Memory]) -> Memory:
    """Return the median of each figure."""
    return Memory(*(median(figures) for figures in zip(*map(astuple, memories), strict=True)))


def growth_of(samples: Sequence[Sample]) -> float | None:
    """Return how many times the memory after the first ten loads there is at the end; None of fewer loads."""
    held = [found.memory.held_mib for found in samples]
    return held[-1] / held[1] if len(held) > 2 else None


def pause_until(moment: float) -> None:
    """Wait until a time on the clock of ``time.monotonic``."""
    time.sleep(max(0.0, moment - time.monotonic()))


if __name__ == "__main__":
    typer.run(main)
