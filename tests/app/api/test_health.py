"""Health: alive, ready, and why not."""

import asyncio
import threading
from pathlib import Path

import httpx
import pytest

from app.lifecycle import Lifecycle
from app.main import create_app
from app.peers import Peers
from app.settings import Settings
from gyoza.inference.checks import Golden
from tests.app.keyrings import write_keys
from tests.app.worlds import LATENTS, TinyFlow, app_of, client_of, put, tiny_loader


async def test_alive_and_ready(client: httpx.AsyncClient) -> None:
    """With every model READY both checks pass, for GET and HEAD."""
    assert (await client.get("/livez")).json() == {"status": "alive"}
    assert (await client.get("/readyz")).json() == {"status": "ready"}
    for path in ("/livez", "/readyz"):
        assert (await client.head(path)).status_code == 200


async def test_loading_is_alive_but_not_ready(folder: Path) -> None:
    """While a model loads the process is alive, not ready, and asks to come back; then it is ready."""
    gate = threading.Event()

    def slow_loader(path: Path, golden: Golden | None) -> TinyFlow:
        gate.wait(10)
        return tiny_loader(path, golden)

    async with client_of(create_app(Settings(models_dir=folder), slow_loader), wait=False) as client:
        try:
            assert (await client.get("/livez")).status_code == 200
            for answer in (
                await client.get("/readyz"),
                await client.post("/encode", json={"latents": LATENTS}),
                await client.post("/models/tiny/encode", json={"latents": LATENTS}),
            ):
                assert (answer.status_code, answer.json()["type"]) == (503, "urn:gyoza:not-ready")
                assert "loading" in answer.json()["detail"].lower()
                assert int(answer.headers["retry-after"]) > 0
        finally:
            gate.set()
        while (await client.get("/readyz")).status_code != 200:
            await asyncio.sleep(0.001)


async def test_others_that_are_not_ready(folder: Path) -> None:
    """While another worker is not ready this one says so and why; once all are, it is ready."""
    peers = Peers(["worker 2 is being started"])
    async with client_of(create_app(Settings(models_dir=folder), tiny_loader, peers=peers)) as client:
        answer = await client.get("/readyz")
        assert (answer.status_code, answer.json()["type"]) == (503, "urn:gyoza:not-ready")
        assert "worker 2 is being started" in answer.json()["detail"]
        peers.waiting = ()
        assert (await client.get("/readyz")).status_code == 200


async def test_a_server_that_ends_is_not_ready(folder: Path) -> None:
    """From the moment when it is asked to end it is alive and not ready; it answers, and closes each connection."""
    lifecycle = Lifecycle()
    async with client_of(create_app(Settings(models_dir=folder), tiny_loader, lifecycle=lifecycle)) as client:
        while not lifecycle.loaded:
            await asyncio.sleep(0.001)
        assert "connection" not in (await client.get("/readyz")).headers
        lifecycle.draining = True
        for path in ("/readyz", "/v2/health/ready"):
            assert (await client.get(path)).status_code == 503
        answer = await client.get("/readyz")
        assert answer.json()["type"] == "urn:gyoza:not-ready"
        assert "draining" in answer.json()["detail"]
        assert "\ngyoza_ready 0" in (await client.get("/metrics")).text
        for answer in (await client.get("/livez"), await client.post("/encode", json={"latents": LATENTS})):
            assert (answer.status_code, answer.headers["connection"]) == (200, "close")


async def test_a_pass_that_does_not_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a pass takes longer than any request may, the server is not ready and says which; then it is again."""
    monkeypatch.setattr("app.engine.engine.SLOW_S", 0.0)
    gate = put(tmp_path, text="gated") / "gate"
    async with client_of(app_of(tmp_path, request_timeout_s=0.1)) as client:
        assert "\ngyoza_ready 1" in (await client.get("/metrics")).text
        try:
            assert (await client.post("/encode", json={"latents": LATENTS})).status_code == 504
            # The pass began a moment after its request came, and so is late a moment after that was.
            while "\ngyoza_ready 0" not in (await client.get("/metrics")).text:
                await asyncio.sleep(0.001)
            answer = await client.get("/readyz")
            assert answer.status_code == 503
            assert "A pass of tiny version 1 (encode) has not come back for more than 0.1 s" in answer.json()["detail"]
        finally:
            gate.touch()
        while (await client.get("/readyz")).status_code != 200:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(("strict", "status"), [(True, 503), (False, 200)])
async def test_one_bad_model(folder: Path, strict: bool, status: int) -> None:
    """A bad file beside a good one stops nobody: the good one answers, the bad one says why, readiness is as set."""
    put(folder, name="bad", text="?")
    async with client_of(app_of(folder, strict_readiness=strict)) as client:
        ready = await client.get("/readyz")
        assert ready.status_code == status
        assert (await client.post("/encode", json={"latents": LATENTS})).status_code == 200
        bad = await client.post("/models/bad/encode", json={"latents": LATENTS})
    assert (bad.status_code, bad.json()["type"]) == (503, "urn:gyoza:not-ready")
    assert "bad is UNAVAILABLE: flow.keras must be a .keras archive" in bad.json()["detail"]
    if strict:
        assert "bad version 1 is UNAVAILABLE (flow.keras must be" in ready.json()["detail"]
        assert "tiny" not in ready.json()["detail"]


@pytest.mark.parametrize("path", ["/readyz", "/v2/health/ready"])
async def test_reasons_are_for_those_with_a_key(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, path: str
) -> None:
    """Where models are told of to keys alone, whoever has none hears only that the server is not ready."""
    put(folder, name="bad", text="?")
    keys = tmp_path_factory.mktemp("keys") / "keys"
    key = write_keys(keys, "web")["web"]
    async with client_of(app_of(folder, api_keys_file=keys)) as client:
        stranger, friend = await client.get(path), await client.get(path, headers={"X-API-Key": key})
    assert stranger.status_code == friend.status_code == 503
    assert "bad version 1" in friend.text
    assert "bad" not in stranger.text
    assert "Ask with an API key for the reason" in stranger.text


@pytest.mark.parametrize("strict", [True, False])
async def test_no_model_is_not_ready(tmp_path: Path, strict: bool) -> None:
    """Without any model the service is not ready, and says where models go."""
    async with client_of(app_of(tmp_path / "nowhere", strict_readiness=strict)) as client:
        answer = await client.get("/readyz")
        assert answer.status_code == 503
        assert "GYOZA_MODELS_DIR" in answer.json()["detail"]
        assert (await client.post("/encode", json={"latents": LATENTS})).status_code == 404
        assert (await client.get("/models")).json() == {"models": []}
