"""Where httpx's errors end."""

import ssl
from typing import Any

import httpx
import pytest

from gyoza.client import ConnectionFailed, NotTrusted, TimedOut, UnexpectedAnswer, UnsendableRequest
from gyoza.client.boundary import ERRORS, headers_of, translated
from gyoza.client.errors import GyozaClientError
from gyoza.client.messages import Request

REQUEST = Request("GET", "/models")
RAISED: set[type[Exception]] = {
    kind for kind in vars(httpx).values() if isinstance(kind, type) and issubclass(kind, Exception)
}


@pytest.mark.parametrize("kind", sorted(RAISED, key=str))
def test_no_error_of_httpx_comes_through(kind: type[Exception]) -> None:
    """Every exception that httpx has becomes one of this package, whose cause it is."""
    original = kind.__new__(kind)
    original.args = ("words",)
    match = "GET /models at http://here got no answer"
    with pytest.raises(GyozaClientError, match=match) as caught, translated(REQUEST, "http://here"):
        raise original
    assert caught.value.__cause__ is original


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (httpx.ConnectError("refused"), ConnectionFailed),
        (httpx.ConnectTimeout(""), ConnectionFailed),
        (httpx.RemoteProtocolError("hung up"), ConnectionFailed),
        (httpx.ReadTimeout(""), TimedOut),
        (httpx.PoolTimeout(""), TimedOut),
        (httpx.LocalProtocolError("bad header"), UnsendableRequest),
        (httpx.InvalidURL("bad"), UnsendableRequest),
        (httpx.DecodingError("no gzip"), UnexpectedAnswer),
    ],
)
def test_each_is_what_it_means(error: Exception, expected: type[GyozaClientError]) -> None:
    """Nobody in time to connect to is a connection that failed; an answer that is late is not."""
    with pytest.raises(expected), translated(REQUEST, "http://here"):
        raise error


def test_a_certificate_that_was_not_trusted_before_is_another_matter() -> None:
    """Where a caller turns to another server since the first one's certificate is wrong, errors are of the second alone."""

    def fail(error: Exception) -> None:
        raise error

    try:
        fail(ssl.SSLCertVerificationError("the first server's"))
    except ssl.SSLCertVerificationError:
        with pytest.raises(ConnectionFailed) as caught, translated(REQUEST, "http://second"):
            fail(httpx.ConnectError("refused"))
    assert not isinstance(caught.value, NotTrusted)


def test_all_else_is_left_alone() -> None:
    """A bug is no error of a call."""
    with pytest.raises(ZeroDivisionError), translated(REQUEST, "http://here"):
        raise ZeroDivisionError
    assert not any(issubclass(ZeroDivisionError, kind) for kind in ERRORS)


def test_headers_are_put_together() -> None:
    """A key becomes a header, and headers of one's own win, however they are written."""
    found = headers_of("secret", {"User-Agent": "mine", "X-Team": "ada"})
    assert found["authorization"] == "Bearer secret"
    assert (found["user-agent"], found["x-team"]) == ("mine", "ada")
    assert "authorization" not in headers_of(None, None)


@pytest.mark.parametrize("key", ["", " secret", "secret\n", "sécret", "secret\nX-Admin: 1"])
def test_a_key_that_can_be_no_header_is_not_shown(key: Any) -> None:
    """What can't be sent is refused at once, without repeating a secret."""
    with pytest.raises(ValueError, match="api_key must be of printable ASCII") as caught:
        headers_of(key, None)
    assert not key or key not in str(caught.value)
