"""What a proxy answers by itself is told as the service tells it."""

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from app.hosting import Front, around_proxy
from tests.app.hosting.worlds import client_of


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """A service that tells which headers it got, and sends the id twice, as one behind a proxy may."""
    response = JSONResponse(dict(Request(scope).headers))
    response.raw_headers.extend([(b"x-request-id", b"first"), (b"x-request-id", b"second")])
    await response(scope, receive, send)


async def lost(scope: Scope, receive: Receive, send: Send) -> None:
    """A proxy whose replica ended: it answers nothing."""


@pytest.mark.parametrize(
    ("response", "status", "kind", "retry_after"),
    [
        (PlainTextResponse("busy", 503, {"Retry-After": "7"}), 503, "not-ready", "7"),
        (PlainTextResponse("busy", 429), 429, "overloaded", "1"),
        (PlainTextResponse("slow", 408), 504, "deadline-exceeded", None),
        (lost, 503, "not-ready", "1"),
    ],
)
async def test_the_proxys_own_errors_become_the_services(
    response: ASGIApp, status: int, kind: str, retry_after: str | None
) -> None:
    """With a kind, an id, and when to try again; in both shapes of errors."""
    async with client_of(Front(response)) as client:
        answer = await client.post("/encode", headers={"X-Request-ID": "mine"})
        v2 = await client.post("/v2/models/tiny.encode/infer")
    assert (answer.status_code, answer.json()["type"]) == (status, f"urn:gyoza:{kind}")
    assert (answer.headers["x-request-id"], answer.json()["request_id"]) == ("mine", "mine")
    assert answer.headers.get("retry-after") == retry_after
    assert (v2.status_code, v2.json()["code"]) == (status, kind)


@pytest.mark.parametrize(
    "response", [PlainTextResponse("a metric"), PlainTextResponse("no", 404), JSONResponse({"ready": False}, 503)]
)
async def test_the_services_own_answers_pass(response: Response) -> None:
    """Whatever their status."""
    async with client_of(Front(response)) as client:
        answer = await client.get("/metrics")
    assert (answer.status_code, answer.content) == (response.status_code, response.body)


async def test_what_asks_the_proxy_itself_passes() -> None:
    """Its health is no business of the service."""
    async with client_of(Front(PlainTextResponse("unhealthy", 503))) as client:
        assert (await client.get("/-/healthz")).text == "unhealthy"


async def test_the_model_is_named_in_a_header() -> None:
    """By the path alone: a header that a client sent means nothing."""
    given = {"serve-multiplexed-model-id": "other"}
    async with client_of(Front(echo)) as client:
        named = (await client.get("/models/tiny/encode", headers=given)).json()
        unnamed = (await client.get("/livez", headers=given)).json()
    assert named["serve_multiplexed_model_id"] == "tiny"
    assert not {"serve_multiplexed_model_id", "serve-multiplexed-model-id"} & set(unnamed)


async def test_a_request_has_one_id_that_can_not_hurt() -> None:
    """On its way in and on its way out."""
    async with client_of(Front(echo)) as client:
        answer = await client.get("/livez", headers={"X-Request-ID": "{a} <b>"})
    assert answer.headers.get_list("x-request-id") == ["first"]
    assert len(answer.json()["x-request-id"]) == 32


async def test_ray_is_given_what_it_puts_around_its_proxies() -> None:
    """A list of middleware, as its callback must return."""
    assert [repr(middleware) for middleware in around_proxy()] == ["Middleware(Front)"]
