"""The short way to the flow endpoints, and the long one."""

import asyncio
import logging
from pathlib import Path

import httpx
import pytest
from starlette.types import Message, Receive, Scope, Send

from app.api import shortcut
from app.api.access import TOGETHER_S
from app.api.shortcut import Shortcut
from tests.app.worlds import LATENTS, app_of, client_of

BODY = {"latents": LATENTS}
BAD = {"latents": [[1, 2, 3, True]]}


def assert_same(short: httpx.Response, long: httpx.Response) -> None:
    """Two answers are the same but for the times, which both tell where there are results."""
    for answer in (short, long):
        assert (answer.headers.pop("Server-Timing", None) is not None) == (answer.status_code == 200)
    assert (short.status_code, short.content, dict(short.headers)) == (
        long.status_code,
        long.content,
        dict(long.headers),
    )


@pytest.mark.parametrize(
    "prefix", ["", "/models/tiny", "/models/tiny/versions/1", "/models/nobody", "/models/tiny/versions/2"]
)
@pytest.mark.parametrize("body", [BODY, BAD])
async def test_both_ways_lead_to_the_same(
    folder: Path, prefix: str, body: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind the routes alone, every flow endpoint gives the answer, or the problem, that the short way gives."""
    headers = {"X-Request-ID": "abc"}
    async with client_of(app_of(folder)) as client:
        for name in ("encode", "factors", "invert"):
            short = await client.post(f"{prefix}/{name}", json=body, headers=headers)
            with monkeypatch.context() as patched:
                patched.setattr(shortcut, "WAYS", {})
                long = await client.post(f"{prefix}/{name}", json=body, headers=headers)
            assert_same(short, long)


async def test_one_line_a_request_either_way(client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture) -> None:
    """Whichever way a request goes, the access log has one line of it."""
    with caplog.at_level(logging.INFO, "gyoza.access"):
        await client.post("/encode", json=BODY)
        await client.post("/encode", json=BAD)
        await client.get("/encode")
        await client.post("/encode/", json=BODY)
        await asyncio.sleep(2 * TOGETHER_S)
    statuses = [record.getMessage().split()[2] for record in caplog.records if record.name == "gyoza.access"]
    assert statuses == ["200", "422", "405", "404"]


@pytest.mark.parametrize(
    "path",
    [
        "/gyoza/livez",
        "/encodes",
        "/models/a/b/encode",
        "/gyoza/models//encode",
        "encode",
        "/infer",
        "/models/a/infer",
        "/v2/encode",
        "/gyoza/v2/models/a/infer/",
    ],
)
async def test_other_paths_are_passed_on(path: str) -> None:
    """What is no flow endpoint behind the proxy's prefix goes the long way, and so does what is no request."""
    seen: list[Scope] = []

    async def elsewhere(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)

    async def receive() -> Message:
        raise AssertionError

    async def send(message: Message) -> None:
        raise AssertionError

    request = {"type": "http", "method": "POST", "path": path, "root_path": "/gyoza"}
    for scope in (request, {"type": "lifespan"}):
        await Shortcut(elsewhere)(scope, receive, send)
        assert seen.pop() is scope


async def test_behind_a_prefix(folder: Path) -> None:
    """A path with the prefix that a proxy stripped, as servers restore it, and one without it lead to the flow."""
    async with client_of(app_of(folder)) as client:
        app = client._transport.app  # type: ignore[attr-defined]

        async def with_prefix(scope: Scope, receive: Receive, send: Send) -> None:
            await app({**scope, "root_path": "/gyoza"}, receive, send)

        transport = httpx.ASGITransport(with_prefix)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as behind:
            for path in ("/gyoza/encode", "/gyoza/models/tiny/encode", "/encode"):
                assert (await behind.post(path, json=BODY)).status_code == 200


V2_BODY = {"id": "a", "inputs": [{"name": "latents", "shape": [2, 4], "datatype": "FP32", "data": LATENTS}]}


@pytest.mark.parametrize("model", ["tiny.encode", "tiny.encode/versions/1", "tiny.encode/versions/2", "nobody.encode"])
@pytest.mark.parametrize("body", [V2_BODY, BAD])
async def test_both_ways_lead_to_the_same_inference(
    folder: Path, model: str, body: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same holds of the Open Inference Protocol."""
    path, headers = f"/v2/models/{model}/infer", {"X-Request-ID": "abc"}
    async with client_of(app_of(folder)) as client:
        short = await client.post(path, json=body, headers=headers)
        monkeypatch.setattr(shortcut, "WAYS", {})
        long = await client.post(path, json=body, headers=headers)
    assert_same(short, long)
