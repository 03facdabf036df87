"""The repository extension: the index, loading and unloading."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from app import main
from app.api.dependencies import Services
from app.errors import Conflict, NotFound
from tests.app.keyrings import controlling
from tests.app.worlds import app_of, client_of, put

NAMES = ["tiny.encode", "tiny.factors", "tiny.invert"]


class Recorded:
    """A control that remembers what it was asked, and fails for one name."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.asked: list[tuple[str, str]] = []

    async def load(self, name: str) -> None:
        """Remember."""
        self.asked.append(("load", name))
        if name == "bad":
            raise Conflict("flow.keras must be an archive")

    async def unload(self, name: str) -> None:
        """Remember."""
        self.asked.append(("unload", name))
        if name == "bad":
            raise NotFound("There is no bad")


@pytest.fixture
def control() -> Recorded:
    """The control of the application."""
    return Recorded()


@pytest.fixture
async def controlled(
    folder: Path, control: Recorded, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[httpx.AsyncClient]:
    """An admin's client of an application whose repository can be controlled."""
    settings, headers = controlling(folder)
    open_services: Callable[..., Services] = main.open_services
    monkeypatch.setattr(main, "open_services", lambda *given: replace(open_services(*given), control=control))
    async with client_of(app_of(folder, **settings)) as client:
        client.headers.update(headers)
        yield client


@pytest.mark.parametrize("path", ["/v2/repository/index", "/v2/repository/models/index"])
async def test_the_index_lists_every_version(folder: Path, path: str) -> None:
    """Three names of each version, with its state and reason; asked for those that are ready, only they come."""
    put(folder, name="bad", text="?")
    put(folder, name="plain", text="plain")
    async with client_of(app_of(folder)) as client:
        every = (await client.post(path)).json()
        ready = (await client.post(path, json={"ready": True})).json()
        assert (await client.post(path, content=b"{}")).json() == every
        refused = await client.post(path, json={"ready": 1})
        assert (refused.status_code, refused.json()["error"].split(".")[0]) == (400, "ready: must be true or false")
        assert (await client.post(path, content=b"[")).status_code == 400
    states = {item["name"]: (item["version"], item["state"], item["reason"]) for item in every}
    assert states["tiny.encode"] == ("1", "READY", "")
    assert states["bad.invert"] == ("1", "UNAVAILABLE", "flow.keras must be a .keras archive")
    assert states["plain.factors"][1] == "UNAVAILABLE"
    assert "[[factors]]" in states["plain.factors"][2]
    assert [item["name"] for item in ready] == ["plain.encode", "plain.invert", *NAMES]


@pytest.mark.parametrize("verb", ["load", "unload"])
async def test_nobody_may_load_by_default(client: httpx.AsyncClient, verb: str) -> None:
    """Without control loading and unloading are forbidden, and the answer says how to allow them."""
    answer = await client.post(f"/v2/repository/models/tiny/{verb}")
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert "GYOZA_REPOSITORY_CONTROL" in answer.json()["error"]


@pytest.mark.parametrize("verb", ["load", "unload"])
@pytest.mark.parametrize("prefix", ["", "/any"])
async def test_any_name_means_the_whole_flow(
    controlled: httpx.AsyncClient, control: Recorded, verb: str, prefix: str
) -> None:
    """The flow's name and any of its three mean the flow, with an empty body or parameters; another suffix does not."""
    bodies: list[dict[str, Any]] = [{}, {"json": {}}, {"json": {"parameters": {"unload_dependents": False}}}]
    for name, body in zip(("tiny", "tiny.encode", "tiny.invert"), bodies, strict=True):
        answer = await controlled.post(f"/v2/repository{prefix}/models/{name}/{verb}", **body)
        assert (answer.status_code, answer.json()) == (200, {"name": name, verb: True})
    assert control.asked == [(verb, "tiny")] * 3
    await controlled.post(f"/v2/repository{prefix}/models/tiny.nothing/{verb}")
    assert control.asked[-1] == (verb, "tiny.nothing")


@pytest.mark.parametrize(
    ("verb", "status", "text"),
    [
        ("load", 409, "failed to load 'bad.encode': flow.keras must be an archive"),
        ("unload", 404, "failed to unload 'bad.encode': There is no bad"),
    ],
)
async def test_what_fails_says_why(controlled: httpx.AsyncClient, verb: str, status: int, text: str) -> None:
    """A flow that can't be loaded or unloaded is told in the words that clients look for."""
    answer = await controlled.post(f"/v2/repository/models/bad.encode/{verb}")
    assert (answer.status_code, answer.json()["error"]) == (status, text)


@pytest.mark.parametrize("parameters", [{"config": "{}"}, {"file:1/model.onnx": "AA"}, [1]])
async def test_files_do_not_come_over_the_wire(
    controlled: httpx.AsyncClient, control: Recorded, parameters: Any
) -> None:
    """A configuration or files in the request are refused: models are loaded as they lie in their folder."""
    answer = await controlled.post("/v2/repository/models/tiny/load", json={"parameters": parameters})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid-input")
    assert control.asked == []
