"""Calls of array endpoints: fields to requests, part by part, and answers to results."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

import orjson

from gyoza.client.errors import TooLarge, UnexpectedAnswer
from gyoza.client.exchange import exchange
from gyoza.client.flows import Flow, Together
from gyoza.client.formats import DECODERS, Fields, Format
from gyoza.client.messages import Answer, Request
from gyoza.client.problems import excerpt
from gyoza.client.progress import Counter
from gyoza.client.retries import Retries
from gyoza.client.splitting import cut, halved, joined, row_count
from gyoza.client.targets import Target

__all__ = ["Call", "counted", "described", "made", "read", "result", "split", "whole"]

T = TypeVar("T")


@dataclass(frozen=True)
class Call:
    """A call of an array endpoint."""

    endpoint: str
    """With its slash, such as ``/encode``."""
    format: Format
    retries: Retries
    query: Mapping[str, str] = field(default_factory=dict)

    def request(self, target: Target, sent: Fields) -> Request:
        """Make the request that sends fields to a target."""
        media_type = self.format.media_type
        headers = {"content-type": media_type, "accept": media_type}
        return Request("POST", target.path(self.endpoint), self.query, headers, self.format.encode(sent))


def whole(call: Call, target: Target, sent: Fields) -> Flow[dict[str, Any]]:
    """Send fields in one request, and return those of the answer."""
    return (yield from read(call.request(target, sent), call.retries))


def split(call: Call, target: Target, sent: Fields, parts: list[slice], counter: Counter) -> Flow[dict[str, Any]]:
    """Send fields in several requests, and return the fields of all answers, the rows in their order.

    The first part is sent alone: its answer names the model and version that all others then ask, so that no call has rows of
    two versions, also where a new one takes over meanwhile. If the service finds it too large, which may be for what would
    come back, all are cut in two; if one of the others, that one.
    """
    rows = row_count(sent)

    def one(target: Target, part: slice) -> Flow[dict[str, Any]]:
        return counted(whole(call, target, cut(sent, rows, part)), counter, part.stop - part.start)

    def smaller(target: Target, part: slice) -> Flow[dict[str, Any]]:
        try:
            return (yield from one(target, part))
        except TooLarge:
            halves = halved([part])
            if len(halves) == 1:
                raise
        found = []
        for half in halves:
            found.append((yield from smaller(target, half)))
        return joined(found)

    while True:
        try:
            first = yield from one(target, parts[0])
            break
        except TooLarge:
            parts, larger = halved(parts), parts
            if parts[0] == larger[0]:
                raise
    if len(parts) == 1:
        return first
    same = Target(first["model"], first["version"])
    others = yield Together(smaller(same, part) for part in parts[1:])
    return joined([first, *others])


def counted(flow: Flow[T], counter: Counter, rows: int) -> Flow[T]:
    """Count rows once a flow has brought them."""
    found = yield from flow
    counter.add(rows)
    return found


def read(request: Request, retries: Retries) -> Flow[dict[str, Any]]:
    """Ask for arrays."""
    answer = yield from exchange(request, retries)
    return read_fields(request, answer)


def described(request: Request, retries: Retries, of: Callable[[Any], T]) -> Flow[T]:
    """Ask for a description, which ``of`` makes of a document."""
    answer = yield from exchange(request, retries)
    return understood(request, answer, lambda: of(orjson.loads(answer.content)))


def result(make: type[T], flow: Flow[dict[str, Any]]) -> Flow[T]:
    """Make a result of the fields that a flow returns."""
    found = yield from flow
    return made(make, found)


def read_fields(request: Request, answer: Answer) -> dict[str, Any]:
    """Read the fields of an answer, whichever of the formats it has."""
    decode = DECODERS.get(answer.media_type)
    if decode is None:
        raise unreadable(request, answer, f"a content type of {', '.join(DECODERS)}")
    return understood(request, answer, lambda: signed(decode(answer.content)))


def signed(found: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of an answer, which must say which model and version gave it.

    Raises:
        TypeError: They do not.
    """
    for name in ("model", "version"):
        if not isinstance(found.get(name), str):
            raise TypeError(f"{name} must be a text in the answer. Received: {', '.join(found)}")
    return found


def understood(request: Request, answer: Answer, read: Callable[[], T]) -> T:
    """Read an answer; whatever a reader finds wrong with it, be it of a library, is one error."""
    try:
        return read()
    except Exception as error:
        raise unreadable(request, answer, f"what can be read ({error!r})") from error


def made(make: type[T], found: Fields) -> T:
    """Make a result of the fields that it knows; fields of later services are left aside."""
    known = [known.name for known in fields(make)]  # type: ignore[arg-type]
    try:
        return make(**{name: value for name, value in found.items() if name in known})
    except TypeError as error:
        raise UnexpectedAnswer(
            f"The answer must hold what makes {make.__name__}, of {', '.join(known)}. Received: {', '.join(found)}. Look at "
            "the service's version."
        ) from error


def unreadable(request: Request, answer: Answer, expected: str) -> UnexpectedAnswer:
    """Say that an answer is not what the service sends."""
    return UnexpectedAnswer(
        f"The answer to {request} must have {expected}. Received: {excerpt(answer)}. Look at the address, and at the "
        "service's version.",
        answer.status,
    )
