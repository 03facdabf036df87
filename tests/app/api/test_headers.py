"""What headers ask for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.headers import accepts, best_media_type, headers_of, qualities
from app.codecs import CODECS

JSON, SAFETENSORS = CODECS


def test_names_are_once() -> None:
    """Headers are found by their lower-case name; what came more than once is one list, in order."""
    scope = {"headers": [(b"accept", b"a"), (b"x", b"\xe9"), (b"accept", b"b")]}
    assert headers_of(scope) == {"accept": "a, b", "x": "é"}


@pytest.mark.parametrize(
    ("header", "weights"),
    [
        ("gzip", {"gzip": 1}),
        ("GZIP;Q=0.5, br;q=1.000", {"gzip": 0.5, "br": 1}),
        ("gzip ; q=0", {"gzip": 0}),
        ("a/b;level=1;q=0.25", {"a/b": 0.25}),
        ("gzip;q=2", {"gzip": 0}),
        ("gzip;q=nan", {"gzip": 0}),
        ("gzip;q=", {"gzip": 0}),
        ("", {"": 1}),
    ],
)
def test_weights(header: str, weights: dict[str, float]) -> None:
    """Each member of a list has its weight, 1 by default; one that can't be read is none."""
    assert qualities(header) == weights


@pytest.mark.parametrize("own", [JSON, SAFETENSORS])
@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("", None),
        ("*/*", None),
        ("application/*", None),
        ("text/html", None),
        ("image/png, */*;q=0.1", None),
        ("application/json;q=0, application/vnd.safetensors;q=0", None),
        (JSON, JSON),
        (SAFETENSORS, SAFETENSORS),
        ("Application/JSON; charset=utf-8", JSON),
        (f"{JSON}, {SAFETENSORS};q=0.9", JSON),
        (f"{JSON};q=0.1, {SAFETENSORS};q=0.2", SAFETENSORS),
        (f"{JSON};q=0.1, */*;q=0.2", SAFETENSORS),
        (f"application/*;q=0.5, {SAFETENSORS};q=0.4", JSON),
        (f"{JSON}, {SAFETENSORS}", None),
    ],
)
def test_the_media_type_that_is_liked_best(own: str, header: str, found: str | None) -> None:
    """The most liked media type is taken, the request's own where others are liked no better or nothing is known."""
    assert best_media_type(header, CODECS, own) == (found or own)


@pytest.mark.parametrize(
    ("header", "asked"),
    [
        ("gzip", True),
        ("br, GZIP;q=0.1", True),
        ("*", True),
        ("", False),
        ("identity", False),
        ("gzip;q=0", False),
        ("*;q=0", False),
        ("gzip;q=0, *", False),
        ("gzipped", False),
    ],
)
def test_whether_gzip_is_asked_for(header: str, asked: bool) -> None:
    """Gzip is asked for by name or by *, with a weight above 0."""
    assert accepts(header, "gzip") is asked


@given(st.text())
def test_no_header_breaks_them(header: str) -> None:
    """Whatever a header holds, there is a media type to answer in."""
    assert best_media_type(header, CODECS, JSON) in CODECS
    assert isinstance(accepts(header, "gzip"), bool)
