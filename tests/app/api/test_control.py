"""Loading and unloading over HTTP."""

from collections.abc import AsyncIterator
from itertools import product
from pathlib import Path

import httpx
import pytest

from tests.app.keyrings import controlling, write_keys
from tests.app.worlds import LATENTS, app_of, client_of, put


@pytest.fixture
async def admin(folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    """An admin's client of an application that lets admins load and unload."""
    settings, headers = controlling(folder)
    async with client_of(app_of(folder, **settings)) as client:
        client.headers.update(headers)
        yield client


async def test_a_new_version_is_loaded(admin: httpx.AsyncClient, folder: Path) -> None:
    """The answer to a load is the model as it is listed then, and requests go to its new version."""
    put(folder, version="2", text="plain")
    answer = await admin.post("/models/tiny/load")
    assert answer.status_code == 200
    assert answer.json() == (await admin.get("/models")).json()["models"][0]
    assert [item["state"] for item in answer.json()["versions"]] == ["READY", "READY"]
    assert (await admin.post("/encode", json={"latents": LATENTS})).json()["version"] == "2"


async def test_an_unloaded_model_is_not_ready(admin: httpx.AsyncClient) -> None:
    """Between an unload and a load, a model's endpoints are not ready."""
    answer = await admin.post("/models/tiny/unload")
    assert (answer.status_code, answer.json()["state"], answer.json()["reason"]) == (200, "UNAVAILABLE", "unloaded")
    refused = await admin.post("/models/tiny/encode", json={"latents": LATENTS})
    assert (refused.status_code, refused.json()["type"]) == (503, "urn:gyoza:not-ready")
    assert (await admin.get("/readyz")).status_code == 503
    assert "tiny version 1 is UNAVAILABLE (unloaded)" in (await admin.get("/readyz")).json()["detail"]
    assert (await admin.post("/models/tiny/load")).json()["state"] == "READY"
    assert (await admin.post("/models/tiny/encode", json={"latents": LATENTS})).status_code == 200
    assert (await admin.get("/readyz")).status_code == 200


async def test_a_load_that_fails_says_why(admin: httpx.AsyncClient, folder: Path) -> None:
    """It is a conflict, listed as the reason of a version that is READY all the same; an unknown model is not found."""
    (folder / "tiny/1/flow.keras").write_bytes(b"\xff")
    answer = await admin.post("/models/tiny/load")
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:gyoza:conflict")
    (version,) = (await admin.get("/models/tiny")).json()["versions"]
    assert version["state"] == "READY"
    assert version["reason"].startswith("serves the files of its former load, since the last one failed: ")
    assert (await admin.post("/encode", json={"latents": LATENTS})).status_code == 200
    assert 'gyoza_model_load_failures_total{model="tiny"} 1.0' in (await admin.get("/metrics")).text
    for verb, name in product(("load", "unload"), ("nothing", "tiny.nothing")):
        answer = await admin.post(f"/models/{name}/{verb}")
        assert (answer.status_code, answer.json()["type"]) == (404, "urn:gyoza:not-found")


@pytest.mark.parametrize("path", ["/models/tiny/load", "/models/tiny/unload", "/v2/repository/models/tiny/unload"])
async def test_only_admins_may(folder: Path, path: str) -> None:
    """Without a key that is known it is 401, with one that is no admin's 403, and so it is where it is switched off."""
    settings, headers = controlling(folder)
    keys = {"X-API-Key": write_keys(folder / "keys.txt", "bob")["bob"]}
    async with client_of(app_of(folder, **settings, api_keys_file=folder / "keys.txt")) as client:
        assert (await client.post(path)).status_code == 401
        refused = await client.post(path, headers=keys)
        assert (refused.status_code, "that of bob" in refused.text) == (403, True)
        assert (await client.post(path, headers=headers)).status_code == 200
    async with client_of(app_of(folder, **settings)) as client:
        refused = await client.post(path, headers=keys)
        assert (refused.status_code, "Received: none that is known here" in refused.text) == (401, True)
    async with client_of(app_of(folder)) as client:
        refused = await client.post(path, headers=headers)
        assert (refused.status_code, "GYOZA_REPOSITORY_CONTROL" in refused.text) == (403, True)


async def test_what_is_gone_is_measured_no_more(admin: httpx.AsyncClient, folder: Path) -> None:
    """The states and load times of a version go with it, and those of one that came later are shown."""
    put(folder, version="2")
    await admin.post("/models/tiny/load")
    assert 'gyoza_model_load_seconds{model="tiny",version="2"}' in (await admin.get("/metrics")).text
    for path in sorted((folder / "tiny/2").iterdir()):
        path.unlink()
    (folder / "tiny/2").rmdir()
    await admin.post("/models/tiny/load")
    shown = (await admin.get("/metrics")).text
    assert 'gyoza_model_load_seconds{model="tiny",version="1"}' in shown
    assert '{model="tiny",version="2"' not in shown
