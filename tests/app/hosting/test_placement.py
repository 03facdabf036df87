"""Models on demand."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

import app.hosting.placement as module
from app.hosting import Held, Placement
from app.model import Loader
from app.settings import Settings
from gyoza.inference.checks import Golden
from tests.app.hosting.worlds import client_of, keeping
from tests.app.keyrings import write_keys
from tests.app.worlds import LATENTS, TinyFlow, put, tiny_loader

BODY = {"latents": LATENTS}


async def started(folder: Path, loader: Loader = tiny_loader, **settings: Any) -> Placement:
    """What serves a folder on demand, one model at a time, begun."""
    placement = Placement(Settings(models_dir=folder, default_model="tiny", **settings), keeping(1), loader)
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
    held.take()
    held.take()
    ending = asyncio.create_task(held.end())
    for _ in range(2):
        await asyncio.sleep(0.01)
        assert not ended
        held.give_back()
    await ending
    assert ended == ["tiny"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/models/tiny/ready", 404),
        ("POST", "/models/tiny/nonsense", 404),
        ("OPTIONS", "/models/tiny/encode", 405),
        ("GET", "/v2/models/tiny.encode/ready", 503),
        ("GET", "/readyz", 503),
    ],
)
async def test_nothing_is_loaded_for_who_asks_nothing_of_it(folder: Path, method: str, path: str, status: int) -> None:
    """Whoever looks whether a model is ready, or asks what there is not, makes no other one give way."""
    placement = await started(folder)
    async with client_of(placement) as client:
        assert (await client.request(method, path)).status_code == status
        assert set(states(await client.get("/models")).values()) == {"UNAVAILABLE"}
    await placement.host.stop()


async def test_nothing_is_loaded_for_who_may_not_come_in(folder: Path, tmp_path: Path) -> None:
    """A request without a key is refused before a model is looked at."""
    keys = write_keys(tmp_path / "keys.txt", "ada")
    placement = await started(folder, api_keys_file=tmp_path / "keys.txt")
    key = {"X-API-Key": keys["ada"]}
    async with client_of(placement) as client:
        assert (await client.post("/encode", json=BODY)).status_code == 401
        assert set(states(await client.get("/models", headers=key)).values()) == {"UNAVAILABLE"}
        assert (await client.post("/encode", json=BODY, headers=key)).status_code == 200
    await placement.host.stop()


class Gated:
    """Loads tiny flows, once it may, and notes of which files it was asked for some.

    Args:
        is_open: Whether it may from the start.
    """

    def __init__(self, *, is_open: bool = False) -> None:
        """Note nothing yet."""
        self.asked: list[str] = []
        self.gate = threading.Event()
        if is_open:
            self.gate.set()

    def __call__(self, path: Path, golden: Golden | None) -> TinyFlow:
        """Make the flow."""
        self.asked.append(path.parents[1].name)
        assert self.gate.wait(10)
        return tiny_loader(path, golden)


async def test_clients_that_leave_keep_no_model(folder: Path) -> None:
    """A load goes on when nobody waits for it any more, and what it loaded makes way as if it had been asked for."""
    put(folder, "other", text="plain")
    loader = Gated()
    placement = await started(folder, loader=loader)
    async with client_of(placement) as client:
        asking = asyncio.create_task(client.post("/models/other/encode", json=BODY))
        while not loader.asked:
            await asyncio.sleep(0.001)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        loader.gate.set()
        assert (await client.post("/encode", json=BODY)).status_code == 200
        assert states(await client.get("/models")) == {"other": "UNAVAILABLE", "tiny": "READY"}
    await placement.host.stop()


async def test_a_load_that_takes_too_long_is_told_and_goes_on(folder: Path) -> None:
    """Whoever waits for it is asked to come back, and then it is there; a load without an end is a fault."""
    loader = Gated()
    placement = await started(folder, loader=loader, request_timeout_s=0.05)
    async with client_of(placement) as client:
        answer = await client.post("/encode", json=BODY)
        assert (answer.status_code, answer.json()["type"]) == (503, "urn:gyoza:not-ready")
        assert "retry-after" in answer.headers
        assert placement.fault is None
        placement._loading_since = -module.LONGEST_LOAD_S
        assert "has not been loaded for more than 600 s" in str(placement.fault)
        loader.gate.set()
        while (await client.post("/encode", json=BODY)).status_code != 200:
            await asyncio.sleep(0.01)
        assert placement.fault is None
    await placement.host.stop()
    assert loader.asked == ["tiny"]


async def test_many_requests_for_what_can_not_be_loaded_try_it_once(folder: Path) -> None:
    """All are told the reason, which one of them found."""
    put(folder, "wrong", text="nonsense")
    loader = Gated(is_open=True)
    placement = await started(folder, loader=loader)
    async with client_of(placement) as client:
        asked = [client.post("/models/wrong/encode", json=BODY) for _ in range(16)]
        assert {answer.status_code for answer in await asyncio.gather(*asked)} == {503}
    await placement.host.stop()
    assert loader.asked == ["wrong"]


def test_paths_without_a_model_must_mean_one(folder: Path) -> None:
    """Else they would mean whichever is loaded at that moment."""
    with pytest.raises(ValueError, match=r"GYOZA_DEFAULT_MODEL: must be a model .* Choose one of: tiny"):
        Placement(Settings(models_dir=folder), keeping(1), tiny_loader)
    with pytest.raises(ValueError, match="none, there is no model in"):
        Placement(Settings(models_dir=folder / "nowhere", default_model="tiny"), keeping(1), tiny_loader)
