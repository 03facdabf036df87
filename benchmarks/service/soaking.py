"""Clients that ask for a mix of everything at once, and compare every answer with what the flow alone gives."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from itertools import product
from threading import Lock, Thread
from typing import Protocol

import numpy as np

from benchmarks.flows.specs import Floats, largest
from benchmarks.service.apps.common import HOST
from benchmarks.service.formats import FORMATS
from benchmarks.service.requests import Answer, Request

__all__ = ["FORMS", "SIZES", "Case", "Clients", "Flow", "Recorded", "Tally", "cases_of"]

SIZES = (1, 2, 7, 16, 64, 300, 1000, 2000)
FORMS = ("json", "base64", "safetensors")
TOLERANCE = 1e-4
"""In units of 1 + max|row|: what the size of a batch changes is far below, a row of another request far above."""
TOLD = 10
"""So many wrong answers are told in words; the others are counted."""
PAUSE_S = 0.02
"""After a refusal; a client that does not wait would only measure refusals."""


class Flow(Protocol):
    """What computes the answers alone."""

    def encode(self, latents: Floats) -> tuple[Floats, Floats]:
        """Map latents [n, D] to codes [n, D] and logdet [n]."""

    def invert(self, codes: Floats) -> Floats:
        """Map codes [n, D] to latents [n, D]."""


@dataclass(frozen=True, eq=False)
class Recorded:
    """A flow that knows its answers to some rows, and computes none."""

    codes: Floats
    logdet: Floats
    returned: Floats

    def encode(self, latents: Floats) -> tuple[Floats, Floats]:
        """Return what was recorded for the latents."""
        return self.codes[: len(latents)], self.logdet[: len(latents)]

    def invert(self, codes: Floats) -> Floats:
        """Return what was recorded for the codes."""
        return self.returned[: len(codes)]


@dataclass(frozen=True, eq=False)
class Case:
    """One request, and what must come back."""

    title: str
    form: str
    rows: int
    request: Request
    expected: Mapping[str, Floats]
    others: Sequence[Mapping[str, Floats]] = ()
    """What may come back as well, as a whole: the answers of other flows that take the place of the first."""


def cases_of(
    model: str, flow: Flow, latents: Floats, forms: Sequence[str] = FORMS, others: Sequence[Flow] = ()
) -> list[Case]:
    """Return requests of every size, direction and wire format for one model, as many rows as there are at most.

    Args:
        model: The name under which the flow is served.
        flow: What computes the answers, before any request is sent.
        latents: [n, D].
        forms: Keys of ``FORMATS``.
        others: Flows that may take its place.
    """
    codes, _ = flow.encode(latents)
    draw, found = np.random.default_rng(1), []
    answers = [answers_of(each, latents, codes) for each in (flow, *others)]
    for rows, form in product([size for size in SIZES if size <= len(latents)], forms):
        for direction, given in (("encode", {"latents": latents}), ("invert", {"codes": codes})):
            first = int(draw.integers(len(latents) - rows + 1))
            request = Request(f"/models/{model}/{direction}", *FORMATS[form].build(cut(given, first, rows)))
            expected, *more = (cut(each[direction], first, rows) for each in answers)
            title = f"{model} {direction}, {form}, {rows} rows from {first}"
            found.append(Case(title, form, rows, request, expected, more))
    return found


def answers_of(flow: Flow, latents: Floats, codes: Floats) -> Mapping[str, Mapping[str, Floats]]:
    """Return what a flow answers in each direction."""
    found, logdet = flow.encode(latents)
    return {"encode": {"codes": found, "logdet": logdet}, "invert": {"latents": flow.invert(codes)}}


def cut(arrays: Mapping[str, Floats], first: int, rows: int) -> dict[str, Floats]:
    """Return so many rows of each array."""
    return {name: array[first : first + rows] for name, array in arrays.items()}


@dataclass
class Tally:
    """What came back so far."""

    statuses: Counter[int] = field(default_factory=Counter)
    """Status to how often; 0 is a connection that broke."""
    rows: int = 0
    """Rows that were answered rightly."""
    wrong: int = 0
    told: list[str] = field(default_factory=list)
    """The first wrong answers, in words."""
    broken: list[int | None] = field(default_factory=list)
    """The clients' ports of connections that broke; None is one that could not be opened."""
    _lock: Lock = field(default_factory=Lock)

    def add(self, case: Case, answer: Answer | None, port: int | None = None) -> None:
        """Count an answer; None is a connection that broke, from that port of the client's."""
        error = None if answer is None or answer.status != 200 else error_of(case, answer)
        with self._lock:
            if answer is None:
                self.broken.append(port)
            self.statuses[0 if answer is None else answer.status] += 1
            if error is None:
                return
            if error <= TOLERANCE:
                self.rows += case.rows
                return
            self.wrong += 1
            if len(self.told) < TOLD:
                self.told.append(f"{case.title}: an error of {error:.3g}")


def error_of(case: Case, answer: Answer) -> float:
    """Return the largest error of an answer, by the flow that it fits best; inf where it lacks something or can't be read."""
    try:
        found = FORMATS[case.form].parse(answer.headers, answer.body)
        return min(
            max(largest(np.asarray(found[name]), array) for name, array in expected.items())
            for expected in (case.expected, *case.others)
        )
    except (ArithmeticError, LookupError, TypeError, ValueError):
        return float("inf")


class Clients:
    """Threads that ask without a pause, until a time.

    Args:
        port: Where the service listens.
        cases: What they draw from, small requests more often than large ones.
        seconds: How long.
        count: How many threads, each with a connection of its own.
    """

    def __init__(self, port: int, cases: Sequence[Case], seconds: float, count: int) -> None:
        """Start them."""
        self.tally = Tally()
        self._port, self._cases = port, cases
        weights = np.array([case.rows**-0.5 for case in cases])
        self._shares = weights / weights.sum()
        self._end = time.monotonic() + seconds
        self._threads = [Thread(target=self._ask, args=(number,), daemon=True) for number in range(count)]
        for thread in self._threads:
            thread.start()

    def wait(self, seconds: float) -> bool:
        """Wait so long, or until all have stopped; return whether any still asks."""
        end = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
        return any(thread.is_alive() for thread in self._threads)

    def stop(self) -> None:
        """Let each of them stop after its next answer."""
        self._end = time.monotonic()

    def _ask(self, seed: int) -> None:
        draw, connection = np.random.default_rng(seed), HTTPConnection(HOST, self._port, timeout=60)
        while time.monotonic() < self._end:
            case = self._cases[draw.choice(len(self._cases), p=self._shares)]
            port = opened(connection)
            answer = None if port is None else sent(connection, case.request)
            self.tally.add(case, answer, port)
            if answer is None or answer.status != 200:
                time.sleep(PAUSE_S)
        connection.close()


def opened(connection: HTTPConnection) -> int | None:
    """Open a connection that is not, and return its port here; None if nobody listens there."""
    try:
        if connection.sock is None:
            connection.connect()
        port: int = connection.sock.getsockname()[1]
    except OSError:
        connection.close()
        return None
    return port


def sent(connection: HTTPConnection, request: Request) -> Answer | None:
    """Send one request on a connection that is kept; None if it broke, after which it is opened anew."""
    try:
        connection.request("POST", request.path, request.body, dict(request.headers))
        answer = connection.getresponse()
        return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
    except (OSError, HTTPException):
        connection.close()
        return None
