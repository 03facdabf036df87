"""Answers by the script, over httpx's own transport for that, and flows run without any input or output."""

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

import httpx
import orjson

from gyoza.client.flows import Flow

T = TypeVar("T")
ENCODED = {"codes": [[1.0]], "logdet": [0.5], "log_likelihood": [-1.0], "model": "tiny", "version": "1"}


def problem(status: int, kind: str, **headers: str) -> httpx.Response:
    """A problem as the service writes it."""
    content = {
        "type": f"urn:gyoza:{kind}",
        "title": "It went wrong",
        "status": status,
        "detail": "This must hold.",
        "errors": [{"field": "latents[0]", "message": "must be finite"}],
        "request_id": "abc",
    }
    media_type = {"content-type": "application/problem+json"}
    return httpx.Response(
        status,
        headers={**media_type, **{key.replace("_", "-"): value for key, value in headers.items()}},
        content=orjson.dumps(content),
    )


def encoded(rows: int = 1) -> httpx.Response:
    """A success of so many rows, as JSON."""
    many = {name: value * rows if isinstance(value, list) else value for name, value in ENCODED.items()}
    return httpx.Response(200, json=many)


class Script:
    """Answers one by one, and remembers what it was asked; an exception among them is raised.

    Args:
        answers: One for each request.
    """

    def __init__(self, answers: Iterable[httpx.Response | Exception]) -> None:
        """Begin with the first one."""
        self._answers: Iterator[httpx.Response | Exception] = iter(answers)
        self.requests: list[httpx.Request] = []
        self.transport = httpx.MockTransport(self._answer)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = next(self._answers)
        if isinstance(answer, Exception):
            raise answer
        return answer


def run(flow: Flow[T], outcomes: Iterable[Any]) -> tuple[list[Any], T]:
    """Run a flow on outcomes, and return its steps and what it returns."""
    steps, outcome, rest = [], None, iter(outcomes)
    while True:
        try:
            steps.append(flow.send(outcome))
        except StopIteration as stop:
            return steps, stop.value
        outcome = next(rest)
