"""Answers that are no success."""

from datetime import UTC, datetime

import orjson
import pytest

from app.api.error_handlers import INTERNAL, KINDS, METHOD_NOT_ALLOWED
from app.errors import HeadTooLarge, MalformedRequest, SlowHead
from gyoza.client import errors
from gyoza.client.errors import ProblemError, UnexpectedAnswer
from gyoza.client.messages import Answer, Request
from gyoza.client.problems import ERRORS, error_of, retry_after

REQUEST = Request("POST", "/encode")
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
UNHEARD_OF = {KINDS[kind].name for kind in (HeadTooLarge, MalformedRequest, SlowHead)}
"""Kinds that no request of this client gets, unless its headers are odd."""


def answer(document: object, media_type: str = "application/problem+json", status: int = 422) -> Answer:
    """An answer with a document as its content."""
    return Answer(status, {"content-type": media_type}, orjson.dumps(document))


def test_every_kind_of_the_service_has_a_class() -> None:
    """Each kind that the service tells of is an error of its own, and there is none for another one."""
    kinds = {kind.name for kind in (*KINDS.values(), METHOD_NOT_ALLOWED, INTERNAL)}
    assert ERRORS.keys() == kinds - UNHEARD_OF
    assert len(set(ERRORS.values())) == len(ERRORS)
    assert all(getattr(errors, kind.__name__) is kind for kind in ERRORS.values())


def test_an_unknown_kind_is_a_problem_all_the_same() -> None:
    """What a later service tells of is a ``ProblemError`` with all that it says."""
    error = error_of(REQUEST, answer({"type": "urn:gyoza:tired", "detail": "Later.", "request_id": None}, status=529))
    assert type(error) is ProblemError
    assert (error.kind, error.status, error.detail, error.fields, error.request_id) == (
        "tired",
        529,
        "Later.",
        (),
        None,
    )


@pytest.mark.parametrize(
    "content",
    [
        Answer(502, {"content-type": "text/html; charset=utf-8"}, b"<h1>502  Bad\n Gateway</h1>"),
        Answer(502, {"content-type": "application/problem+json"}, b"{<h1>502 Bad Gateway</h1>"),
        answer({"type": "about:blank", "title": "502 Bad Gateway"}, status=502),
        answer(["502 Bad Gateway"], status=502),
        answer({"error": "502 Bad Gateway"}, "application/json", 502),
    ],
    ids=["page", "no JSON", "of another service", "no object", "no problem"],
)
def test_what_is_no_problem_of_the_service_is_unexpected(content: Answer) -> None:
    """A proxy's words are shown as they begin, with their status."""
    error = error_of(REQUEST, content)
    assert isinstance(error, UnexpectedAnswer)
    assert error.status == 502
    assert "POST /encode must be answered by the gyoza service" in str(error)
    assert "502 Bad Gateway" in str(error)


def test_an_empty_answer_is_told_as_such() -> None:
    """An answer without content is one that says so."""
    assert "status 502 with no content" in str(error_of(REQUEST, Answer(502, {})))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("3", 3.0),
        ("Fri, 02 Jan 2026 03:04:15 GMT", 10.0),
        ("Fri, 02 Jan 2026 03:04:15 -0000", 10.0),
        ("Fri, 02 Jan 2026 03:04:00 GMT", 0.0),
        ("soon", None),
        ("Mon, 1 Jan 99999999999 00:00:00 GMT", None),
        ("-1", None),
        ("", None),
    ],
)
def test_when_to_try_again_is_read(text: str, seconds: float | None) -> None:
    """Seconds and dates are both read, dates that are over are now, and anything else is nothing."""
    assert retry_after({"retry-after": text}, NOW) == seconds
    assert retry_after({}, NOW) is None


@pytest.mark.parametrize("errors", [5, "?", {"field": "a"}, None])
def test_a_problem_may_hold_anything(errors: object) -> None:
    """What is no list of errors holds none, and the rest is told."""
    error = error_of(REQUEST, answer({"type": "urn:gyoza:invalid-input", "detail": "No.", "errors": errors}))
    assert isinstance(error, ProblemError)
    assert (error.kind, error.detail, error.fields) == ("invalid-input", "No.", ())
