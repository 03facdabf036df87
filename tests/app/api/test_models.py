"""What models there are."""

import os
from hashlib import sha256
from pathlib import Path

import httpx
import numpy as np
from safetensors.numpy import save_file

from app.errors import UnloadableModel
from app.main import create_app
from app.settings import Settings
from gyoza.inference.checks import Golden
from tests.app.worlds import FACTORS, LATENTS, TinyFlow, affine, app_of, client_of, put, tiny_loader

MANIFEST = """
description = "Four columns."

[[factors]]
name = "residual"
size = 3

[[factors]]
name = "hue"
size = 1
description = "Around the wheel."
range = [-1, 1.5]
"""


async def test_every_model_is_listed(folder: Path) -> None:
    """GET /models lists versions in order with state and reason; a model's state is its highest version's."""
    put(folder, version="10", text="unproven")
    put(folder, version="9")
    put(folder, name="broken", text="?")
    async with client_of(app_of(folder)) as client:
        broken, tiny = (await client.get("/models")).json()["models"]
    assert (broken["name"], broken["state"]) == ("broken", "UNAVAILABLE")
    assert broken["reason"] == "flow.keras must be a .keras archive"
    assert (tiny["name"], tiny["state"]) == ("tiny", "UNAVAILABLE")
    assert [(item["version"], item["state"]) for item in tiny["versions"]] == [
        ("1", "READY"),
        ("9", "READY"),
        ("10", "UNAVAILABLE"),
    ]
    assert "round trip: error 0.5, limit 0.001" in tiny["versions"][2]["reason"]


async def test_a_model_in_detail(client: httpx.AsyncClient, folder: Path) -> None:
    """GET /models/{model} gives shapes, dtype, factors, counts, digests, libraries and the figures of the checks."""
    body = (await client.get("/models/tiny")).json()
    assert body["latent_shape"] == body["code_shape"] == [4]
    assert (body["code_size"], body["dtype"], body["version"], body["state"]) == (4, "float32", "1", "READY")
    assert {factor["name"]: factor["size"] for factor in body["factors"]} == FACTORS
    assert (body["layers"], body["parameters"], body["libraries"]) == (1, 8, {"gyoza": "0"})
    assert body["traces"] == 0
    assert body["files"] == {"flow.keras": sha256((folder / "tiny/1/flow.keras").read_bytes()).hexdigest()}
    assert body["checks"] == [
        {"name": "round trip", "passed": True, "error": 1e-7, "limit": 1e-3},
        {"name": "golden vectors", "passed": "not recorded", "error": "not recorded", "limit": "not recorded"},
    ]
    assert (await client.get("/models/tiny/versions/1")).json() == body
    assert (await client.head("/models/tiny")).status_code == 200


async def test_the_manifest_is_shown(tmp_path: Path) -> None:
    """Description, factors and ranges of flow.toml win, and golden vectors that are met show their figures."""
    path = put(tmp_path, manifest=MANIFEST)
    latents = np.array(LATENTS, np.float32)
    codes, logdet = affine().encode(latents)
    save_file({"latents": latents, "codes": codes, "logdet": logdet}, path / "golden.safetensors")
    async with client_of(app_of(tmp_path)) as client:
        body = (await client.get("/models/tiny")).json()
    assert body["description"] == "Four columns."
    assert body["factors"][1] == {
        "name": "hue",
        "start": 3,
        "size": 1,
        "description": "Around the wheel.",
        "range": [-1.0, 1.5],
    }
    assert [(check["name"], check["passed"]) for check in body["checks"]] == [("golden vectors", True)]
    assert sorted(body["files"]) == ["flow.keras", "flow.toml", "golden.safetensors"]


async def test_what_is_not_ready_is_shown_too(tmp_path: Path) -> None:
    """A version that is UNAVAILABLE shows its reason, and "not recorded" for what is not known."""
    put(tmp_path, text="bug")
    async with client_of(app_of(tmp_path)) as client:
        body = (await client.get("/models/tiny/versions/1")).json()
    assert (body["state"], body["reason"]) == ("UNAVAILABLE", "RuntimeError: a bug in some layer")
    assert body["latent_shape"] == body["checks"] == "not recorded"


async def test_names_and_reasons_of_any_bytes_are_shown(tmp_path: Path) -> None:
    """A folder or a reason that is no UTF-8 is listed in characters that can be sent, and hides none of the others."""

    def failing_loader(path: Path, golden: Golden | None) -> TinyFlow:
        if path.parent.parent.name == "failing":
            raise UnloadableModel(f"can't read {path}")
        return tiny_loader(path, golden)

    models = tmp_path / os.fsdecode(b"models\xff")
    (models / os.fsdecode(b"bad\xff") / "1").mkdir(parents=True)
    put(models, name="failing")
    put(models)
    async with client_of(create_app(Settings(models_dir=models), failing_loader)) as client:
        answer = await client.get("/models")
    bad, failing, tiny = answer.json()["models"]
    assert (bad["name"], bad["state"]) == ("bad\ufffd", "UNAVAILABLE")
    assert bad["reason"].endswith("rename bad\ufffd")
    assert failing["reason"] == f"can't read {tmp_path}/models?/failing/1/flow.keras"
    assert tiny["state"] == "READY"


async def test_unknown_names(client: httpx.AsyncClient) -> None:
    """An unknown model or version is 404 and lists those that exist."""
    for path, text in (("/models/x", "tiny"), ("/models/tiny/versions/2", "Versions that exist: 1")):
        answer = await client.get(path)
        assert (answer.status_code, answer.json()["type"]) == (404, "urn:gyoza:not-found")
        assert text in answer.json()["detail"]
