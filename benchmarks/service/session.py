"""One start of one server: wait until it answers, look at its answers, put it under every load, end it."""

import math
import os
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Self

from benchmarks.compute.timing import TOLERANCE
from benchmarks.flows.specs import WORK, Floats, FlowSpec, answers, largest, latents_of
from benchmarks.results import Load
from benchmarks.service.errors import NeverReady, Unspoken, WrongAnswer
from benchmarks.service.formats import FORMATS
from benchmarks.service.processes import Server, machine_seconds
from benchmarks.service.requests import Answer, Burst, Request, free_port, post, wrk
from benchmarks.service.servers import ServerKind

__all__ = ["SCENARIOS", "Effort", "Scenario", "Session"]

START_LIMIT_S = 120
UNSUPPORTED = 415
LEAST_REQUESTS = 24
"""A measurement takes longer where a request takes long, so that its median stands on so many."""
CHECKED_ROWS = (16, 64, 1024)
TOGETHER = 16
"""So many rows are also sent at once, one by one: a server that mixes up its batch is found."""
QUIET_LIMIT_S = 20
WORKING_CPUS = 0.25
PATIENCE = 8


@dataclass(frozen=True)
class Scenario:
    """One load: fixed requests on so many connections, each sent as soon as the last answer came."""

    rows: int
    connections: int


SCENARIOS: Mapping[str, Scenario] = MappingProxyType(
    {"r1c1": Scenario(1, 1), "r1c16": Scenario(1, 16), "r64c4": Scenario(64, 4), "r1024c2": Scenario(1024, 2)}
)


@dataclass(frozen=True)
class Effort:
    """How long measurements take."""

    seconds: int = 2
    max_seconds: int = 8
    """Where requests take long."""
    noise: float = 0.15
    """A measurement during which others used more CPUs is made again once …"""
    again: bool = True
    """… if this is true, and the quieter one is kept."""


class Session:
    """A started server, ended with its ``with`` block.

    Args:
        kind: Which.
        flow: What it serves.
        effort: How long to measure.
    """

    def __init__(self, kind: ServerKind, flow: FlowSpec, effort: Effort) -> None:
        """Start the server."""
        self.kind, self.flow, self._effort = kind, flow, effort
        self.port = free_port()
        self.server = Server(kind.command(self.port, flow), WORK / "logs" / f"{kind.name}-{flow.name}.log")

    def __enter__(self) -> Self:
        """Wait until it answers; end it where it does not."""
        try:
            self._wait()
        except BaseException:
            self.server.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """End the server."""
        self.server.stop()

    @cached_property
    def expected(self) -> dict[str, Floats]:
        """What the layers answer."""
        return answers(self.flow)

    def loads(self, form: str) -> Iterator[Load]:
        """Check the answers in one wire format, yield what the server does under each load, and check again.

        Raises:
            Unspoken: The server does not speak the format.
            WrongAnswer: An answer is wrong.
        """
        self.check(form)
        for name, scenario in SCENARIOS.items():
            yield self._measure(form, name, scenario)
        self._compare(form, 0, CHECKED_ROWS[0])

    def check(self, form: str) -> None:
        """Compare answers with the layers', of requests one by one and of some at once."""
        for rows in CHECKED_ROWS:
            self._compare(form, 0, rows)
        with ThreadPoolExecutor(TOGETHER) as pool:
            list(pool.map(lambda row: self._compare(form, row, row + 1), range(TOGETHER)))

    def _wait(self) -> None:
        form = next(iter(self.kind.forms))
        reason: object = "nothing listens"
        while time.perf_counter() < self.server.began + START_LIMIT_S:
            try:
                return self._compare(form, 0, 1)
            except (OSError, WrongAnswer) as error:
                reason = error
            if not self.server.alive:
                raise NeverReady(
                    f"it ended before it answered; {self.server.log.name} in build/benchmarks/logs says why"
                )
            time.sleep(0.05)
        raise NeverReady(f"it must answer within {START_LIMIT_S} s of its start. Received: {reason}")

    def _request(self, form: str, first: int, last: int) -> Request:
        headers, body = FORMATS[form].build({"latents": latents_of(self.flow)[first:last]})
        return Request(self.kind.forms[form].format(flow=self.flow.name), headers, body)

    def _compare(self, form: str, first: int, last: int) -> None:
        answer = post(self.port, self._request(form, first, last))
        title = f"{self.kind.name}, {form}, rows {first} to {last}"
        if answer.status == UNSUPPORTED:
            raise Unspoken("it answers 415")
        if answer.status != 200:
            raise WrongAnswer(f"{title} must be answered. Received: status {answer.status}, {answer.body[:300]!r}")
        if self.kind.computes and not (error := self._error(form, answer, first, last)) <= TOLERANCE:
            raise WrongAnswer(f"{title} must be answered as the layers do. Received: an error of {error:.3g}")

    def _error(self, form: str, answer: Answer, first: int, last: int) -> float:
        found = FORMATS[form].parse(answer.headers, answer.body)
        return max(
            largest(found["codes"], self.expected["codes"][first:last]),
            largest(found["logdet"].reshape(-1), self.expected["logdet"][first:last]),
        )

    def _measure(self, form: str, name: str, scenario: Scenario) -> Load:
        request = self._request(form, 0, scenario.rows)
        warm_up = wrk(self.port, request, scenario.connections, 1)
        seconds = self._seconds(warm_up, scenario)
        found = [self._burst(form, name, request, seconds)]
        if self._effort.again and found[0].foreign_cpus > self._effort.noise:
            found.append(self._burst(form, name, request, seconds))
        return min(found, key=lambda load: load.foreign_cpus)

    def _seconds(self, warm_up: Burst, scenario: Scenario) -> int:
        """Return how long to measure: longer where few requests end in the time."""
        mean_s = warm_up.mean_ms / 1e3 if warm_up.requests else math.inf
        needed = LEAST_REQUESTS * mean_s / scenario.connections
        return math.ceil(min(max(self._effort.seconds, needed), self._effort.max_seconds))

    def _burst(self, form: str, name: str, request: Request, seconds: int) -> Load:
        self._settle()
        scenario, own, all_cpus, begin = (
            SCENARIOS[name],
            self.server.cpu_seconds(),
            machine_seconds(),
            time.perf_counter(),
        )
        client = children_seconds()
        burst = self._counted(request, scenario, seconds)
        client, wall = children_seconds() - client, time.perf_counter() - begin
        own, all_cpus = self.server.cpu_seconds() - own, machine_seconds() - all_cpus
        rate = (burst.requests - burst.statuses) / burst.seconds
        return Load(
            server=self.kind.name,
            flow=self.flow.name,
            form=form,
            scenario=name,
            requests_s=rate,
            rows_s=rate * scenario.rows,
            p50_ms=burst.p50_ms,
            p99_ms=burst.p99_ms,
            failed=burst.statuses + burst.broken,
            server_cpus=own / wall,
            foreign_cpus=max(0.0, all_cpus - own - client) / wall,
        )

    def _counted(self, request: Request, scenario: Scenario, seconds: int) -> Burst:
        """Put the server under load; once more and longer where no answer came in the time, since nothing has no median."""
        for limit in (seconds, PATIENCE * seconds):
            burst = wrk(self.port, request, scenario.connections, limit)
            if burst.requests:
                return burst
        raise NeverReady(f"it must answer within {PATIENCE * seconds} s under load, and did not")

    def _settle(self) -> None:
        """Wait until the server has worked off what an earlier load left."""
        end = time.monotonic() + QUIET_LIMIT_S
        while time.monotonic() < end:
            own = self.server.cpu_seconds()
            time.sleep(0.2)
            if self.server.cpu_seconds() - own < WORKING_CPUS * 0.2:
                return


def children_seconds() -> float:
    """Return the CPU seconds of the processes that this one has started and that have ended: the load's."""
    used = os.times()
    return used.children_user + used.children_system
