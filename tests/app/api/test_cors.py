"""Pages of other origins."""

from pathlib import Path
from typing import NoReturn

import httpx
import pytest
from starlette.types import Message

from app.api import shortcut
from app.api.shortcut import FLOWS, Way
from tests.app.keyrings import write_keys
from tests.app.worlds import LATENTS, app_of, client_of

BODY = {"latents": LATENTS}
ORIGIN = "https://lab.example"
PREFLIGHT = {
    "Origin": ORIGIN,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "content-type, x-api-key, traceparent",
}


async def test_what_is_no_request_passes(folder: Path) -> None:
    """The start and the end of the application go through all that stands around it."""
    app = app_of(folder, cors_origins=ORIGIN, root_path="/gyoza")
    told: list[str] = []
    asked = iter(("lifespan.startup", "lifespan.shutdown"))

    async def receive() -> Message:
        return {"type": next(asked)}

    async def send(message: Message) -> None:
        told.append(message["type"])

    await app({"type": "lifespan", "state": {}}, receive, send)
    assert told == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


async def test_it_is_off_by_default(client: httpx.AsyncClient) -> None:
    """Unless the settings name origins, no page of another one may call."""
    answer = await client.post("/encode", json=BODY, headers={"Origin": ORIGIN})
    preflight = await client.options("/encode", headers=PREFLIGHT)
    for each in (answer, preflight):
        assert not [name for name in each.headers if name.startswith("access-control")]
    assert preflight.status_code == 405


@pytest.mark.parametrize(("origins", "told"), [("*", "*"), (f"https://other.example, {ORIGIN}", ORIGIN)])
async def test_pages_of_those_that_are_named_may_call(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, origins: str, told: str
) -> None:
    """The browser's question needs no key; answers and refusals alike may be read, with the headers that tell more."""
    path = tmp_path_factory.mktemp("keys") / "keys"
    headers = {"Origin": ORIGIN, "X-API-Key": write_keys(path, "web")["web"]}
    async with client_of(app_of(folder, cors_origins=origins, api_keys_file=path)) as client:
        preflight = await client.options("/encode", headers=PREFLIGHT)
        assert preflight.status_code == 200
        assert preflight.headers["access-control-allow-origin"] == told
        assert "POST" in preflight.headers["access-control-allow-methods"]
        assert "x-api-key" in preflight.headers["access-control-allow-headers"]
        assert preflight.headers["x-request-id"]
        for answer, status in (
            (await client.post("/encode", json=BODY, headers=headers), 200),
            (await client.post("/encode", json=BODY, headers={"Origin": ORIGIN}), 401),
            (await client.get("/nope", headers=headers), 404),
        ):
            assert answer.status_code == status
            assert answer.headers["access-control-allow-origin"] == told
            assert {"X-Request-ID", "Retry-After", "Server-Timing"} <= set(
                answer.headers["access-control-expose-headers"].split(", ")
            )
            assert "access-control-allow-credentials" not in answer.headers


async def test_pages_of_others_may_not(folder: Path) -> None:
    """The page of an origin that is not named is told nothing that lets it read the answer."""
    async with client_of(app_of(folder, cors_origins=ORIGIN)) as client:
        other = {**PREFLIGHT, "Origin": "https://evil.example"}
        assert (await client.options("/encode", headers=other)).status_code == 400
        answer = await client.post("/encode", json=BODY, headers={"Origin": other["Origin"]})
        assert "access-control-allow-origin" not in answer.headers
        assert "Origin" in answer.headers["vary"]


async def test_a_page_may_read_of_a_bug(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug's 500 may be read by the pages that may read the rest."""

    async def broken(*_: object) -> NoReturn:
        raise RuntimeError

    monkeypatch.setattr(shortcut, "WAYS", {"encode": Way(FLOWS, broken)})
    async with client_of(app_of(folder, cors_origins=ORIGIN)) as client:
        answer = await client.post("/encode", json=BODY, headers={"Origin": ORIGIN})
    assert answer.status_code == 500
    assert answer.headers["access-control-allow-origin"] == ORIGIN
