"""What both clients are told."""

import inspect
from typing import Any

import httpx
import pytest

from gyoza.client import AsyncClient, Client, Encoded, Overloaded, Retries
from gyoza.client.api import Api
from tests.client.scripted import Script, encoded, problem

ROWS = [[1.0]]


def test_both_clients_have_every_endpoint() -> None:
    """What one can ask, the other can, with the same words of documentation."""
    endpoints = {name for name, value in vars(Api).items() if callable(value) and not name.startswith("_")}
    for kind in (Client, AsyncClient):
        assert endpoints <= vars(kind).keys()
        assert all(getattr(kind, name).__doc__ == getattr(Api, name).__doc__ for name in endpoints)


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_methods_say_what_they_return(kind: Any) -> None:
    """Help and editors show the result of a call, and nothing of how it comes about."""
    signature = inspect.signature(kind.encode)
    assert signature.return_annotation is Encoded
    assert list(signature.parameters) == ["self", "latents", "progress"]


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"url": "127.0.0.1:8000"}, "url must begin with http://"),
        ({"format": "pickle"}, "format must be one of safetensors, json, lists. Received: format='pickle'"),
        ({"rows_per_call": 0}, "rows_per_call must be 1 or more"),
        ({"version": 2}, "A version needs the model"),
    ],
)
@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_options_are_checked(kind: Any, options: dict[str, Any], match: str) -> None:
    """An option that can't be is refused before anything is sent, with what it may be."""
    with pytest.raises(ValueError, match=match):
        kind(**{"url": "http://here", **options})


def test_headers_and_keys_go_with_every_request() -> None:
    """A key, headers of one's own and the address's path are in each request; a key is in no repr."""
    script = Script([encoded()])
    client = Client(
        "https://here/gyoza/",
        transport=script.transport,
        api_key="secret",
        headers={"X-Request-ID": "a1"},
        model="tiny",
    )
    client.encode(ROWS)
    (request,) = script.requests
    assert str(request.url) == "https://here/gyoza/models/tiny/encode"
    assert (request.headers["authorization"], request.headers["x-request-id"]) == ("Bearer secret", "a1")
    assert request.headers["accept-encoding"] == "identity"
    assert repr(client) == "Client('https://here/gyoza')"


def test_another_model_is_asked_on_the_same_connections() -> None:
    """A client for another model shares connections, headers and options, and leaves the first as it was."""
    script = Script([encoded(), encoded(), encoded()])
    client = Client("http://here", transport=script.transport, format="json", model="tiny", version=1)
    other = client.using("other")
    for one in (client, other, client):
        one.encode(ROWS)
    paths = [request.url.path for request in script.requests]
    assert paths == ["/models/tiny/versions/1/encode", "/models/other/encode", "/models/tiny/versions/1/encode"]
    assert script.requests[1].headers["content-type"] == "application/json"


def test_retries_end() -> None:
    """A service that stays overloaded is asked as often as was said, and then its own words are the error."""
    script = Script([problem(429, "overloaded", retry_after="0") for _ in range(3)])
    client = Client("http://here", transport=script.transport, retries=Retries(count=2, first=0.001))
    with pytest.raises(Overloaded, match=r"429 overloaded: This must hold\. \(request abc\)"):
        client.encode(ROWS)
    assert len(script.requests) == 3


def test_requests_are_sent_again_as_they_were() -> None:
    """A connection that breaks, and a service that is not ready, cost a moment, and no row."""
    script = Script([httpx.RemoteProtocolError("hung up"), problem(503, "not-ready", retry_after="0"), encoded()])
    client = Client("http://here", transport=script.transport, retries=Retries(first=0.001))
    assert client.encode(ROWS).codes.tolist() == [[1.0]]
    assert len({request.content for request in script.requests}) == 1


def test_a_client_that_was_given_stays_open() -> None:
    """Whoever made an httpx client closes it; one that this client made is closed with it."""
    given = httpx.Client(transport=Script([]).transport)
    with Client("http://here", http_client=given):
        pass
    assert not given.is_closed
    with Client("http://here") as client:
        own = client._http
    assert own.is_closed
