"""Answers that are no success → errors: one table, kind → class."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import MappingProxyType
from typing import Any

import orjson

from gyoza.client.errors import (
    Conflict,
    DeadlineExceeded,
    FieldProblem,
    Forbidden,
    GyozaClientError,
    Internal,
    InvalidInput,
    MalformedBody,
    MethodNotAllowed,
    NotFound,
    NotReady,
    Overloaded,
    Problem,
    ProblemError,
    TooLarge,
    Unauthorized,
    UnexpectedAnswer,
    UnsupportedMediaType,
)
from gyoza.client.messages import Answer, Request

__all__ = ["ERRORS", "error_of", "excerpt", "retry_after"]

MEDIA_TYPE = "application/problem+json"
PREFIX = "urn:gyoza:"
LONGEST_EXCERPT = 200
"""In characters: enough to tell whose page it is."""
ERRORS: Mapping[str, type[ProblemError]] = MappingProxyType(
    {
        "malformed-body": MalformedBody,
        "unauthorized": Unauthorized,
        "forbidden": Forbidden,
        "not-found": NotFound,
        "method-not-allowed": MethodNotAllowed,
        "conflict": Conflict,
        "too-large": TooLarge,
        "unsupported-media-type": UnsupportedMediaType,
        "invalid-input": InvalidInput,
        "overloaded": Overloaded,
        "internal": Internal,
        "not-ready": NotReady,
        "deadline-exceeded": DeadlineExceeded,
    }
)


def error_of(request: Request, answer: Answer) -> GyozaClientError:
    """Make an error of an answer that is no success."""
    again = retry_after(answer.headers, datetime.now(UTC))
    document = document_of(answer)
    if document is None:
        return UnexpectedAnswer(
            f"{request} must be answered by the gyoza service. Received: status {answer.status} with "
            f"{excerpt(answer)}. Look at the address, and at what stands between.",
            answer.status,
            again,
        )
    problem = problem_of(document, answer.status, again)
    return ERRORS.get(problem.kind, ProblemError)(problem)


def document_of(answer: Answer) -> dict[str, Any] | None:
    """Read a problem of the service; None: it is none."""
    if answer.media_type != MEDIA_TYPE:
        return None
    try:
        document = orjson.loads(answer.content)
    except orjson.JSONDecodeError:
        return None
    return document if isinstance(document, dict) and str(document.get("type")).startswith(PREFIX) else None


def problem_of(document: Mapping[str, Any], status: int, again: float | None) -> Problem:
    """Take over what a problem says, as far as it is said."""
    request_id = document.get("request_id")
    return Problem(
        kind=str(document["type"]).removeprefix(PREFIX),
        status=status,
        title=str(document.get("title", "")),
        detail=str(document.get("detail", "")),
        fields=tuple(
            FieldProblem(str(item.get("field", "")), str(item.get("message", "")))
            for item in items_of(document.get("errors"))
            if isinstance(item, dict)
        ),
        request_id=None if request_id is None else str(request_id),
        retry_after=again,
    )


def items_of(value: Any) -> list[Any]:
    """Return what a list holds; whatever else stands in its place holds nothing."""
    return value if isinstance(value, list) else []


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Read after how many seconds to try again: a number, or a date as proxies have it; None: that is not said."""
    text = headers.get("retry-after", "").strip()
    if text.isdecimal():
        return float(text)
    try:
        when = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return max(0.0, (when.replace(tzinfo=when.tzinfo or UTC) - now).total_seconds())


def excerpt(answer: Answer) -> str:
    """Return the begin of an answer, for an error."""
    if not answer.content:
        return "no content"
    text = " ".join(answer.content[: 4 * LONGEST_EXCERPT].decode("utf-8", "replace").split())
    return f"{answer.media_type or 'content of no type'} that begins with {text[:LONGEST_EXCERPT]!r}"
