"""Models on demand."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.hosting import Held, Placement
from app.settings import Settings
from tests.app.hosting.worlds import client_of, keeping
from tests.app.worlds import LATENTS, put, tiny_loader

BODY = {"latents": LATENTS}


async def started(folder: Path, most: int = 1, **settings: Any) -> Placement:
    """What serves a folder on demand, begun."""
    placement = Placement(Settings(models_dir=folder, default_model="tiny", **settings), keeping(most), tiny_loader)
    await placement.start()
    return placement


def states(answer: httpx.Response) -> dict[str, str]:
    """The state of each model."""
    return {model["name"]: model["versions"][0]["state"] for model in answer.json()["models"]}


async def test_a_model_is_loaded_when_it_is_asked_for(folder: Path) -> None:
    """And the one before it makes way; paths without a model mean the default one."""
    put(folder, "other", text="plain")
    placement = await started(folder)
    async with client_of(placement) as client:
        assert states(await client.get("/models")) == {"other": "UNAVAILABLE", "tiny": "UNAVAILABLE"}
        for path, name in [("/encode", "tiny"), ("/models/other/encode", "other"), ("/factors", "tiny")]:
            asked = client.get(path) if name == "tiny" and path == "/factors" else client.post(path, json=BODY)
            assert (await asked).status_code == 200
            found = states(await client.get("/models"))
            assert [each for each, state in found.items() if state == "READY"] == [name]
    await placement.host.stop()


async def test_what_can_not_be_loaded_is_told_and_not_tried_at_each_request(folder: Path) -> None:
    """The reason is the application's; files that were mended are tried when a client is told to come back."""
    path = put(folder, "wrong", text="nonsense")
    placement = await started(folder)
    async with client_of(placement) as client:
        first = await client.post("/models/wrong/encode", json=BODY)
        assert (first.status_code, first.headers["retry-after"]) == (503, "60")
        assert "must be a .keras archive" in first.json()["detail"]
        (path / "flow.keras").write_text("affine")
        assert (await client.post("/models/wrong/encode", json=BODY)).status_code == 503
        assert (await client.post("/models/nobody/encode", json=BODY)).status_code == 404
    await placement.host.stop()


async def test_a_model_stays_until_its_requests_are_answered() -> None:
    """However many have it."""
    ended = []

    async def unload(name: str) -> None:
        ended.append(name)

    held = Held("tiny", unload)
    with held:
        with held:
            ending = asyncio.create_task(held.end())
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.01)
        assert not ended
    await ending
    assert ended == ["tiny"]


def test_paths_without_a_model_must_mean_one(folder: Path) -> None:
    """Else they would mean whichever is loaded at that moment."""
    with pytest.raises(ValueError, match=r"GYOZA_DEFAULT_MODEL: must be a model .* Choose one of: tiny"):
        Placement(Settings(models_dir=folder), keeping(1), tiny_loader)
    with pytest.raises(ValueError, match="none, there is no model in"):
        Placement(Settings(models_dir=folder / "nowhere", default_model="tiny"), keeping(1), tiny_loader)
