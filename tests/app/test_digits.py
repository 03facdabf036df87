"""The bundled model, served: edits do to real digits, in float32, what they say and nothing else."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import numpy as np
import pytest
from safetensors.numpy import load_file

from app.main import create_app
from app.settings import Settings
from tests.app.servers import ROOT
from tests.app.worlds import client_of

FOLDER = ROOT / "models"
EXAMPLES = load_file(FOLDER / "digits" / "2" / "examples.safetensors")
LATENTS = EXAMPLES["latents"][:6]
DONORS = EXAMPLES["latents"][6:12]
EDITS: list[dict[str, Any]] = [
    {"factor": "color", "set": [[0.5, -0.5, 1.0]]},
    {"factor": "digit", "shift": [[0.1] * 9]},
    {"factor": "angle", "scale": -1.0},
    {"factor": "color", "swap": DONORS.tolist()},
    {"factor": "residual", "blend": {"latents": DONORS.tolist(), "weight": 0.3}},
    {"factor": "angle", "sample": {"seed": 3}},
]


@pytest.fixture
async def digits() -> AsyncIterator[httpx.AsyncClient]:
    """A client of the bundled model, served from its plans."""
    async with client_of(create_app(Settings(models_dir=FOLDER, max_batch_rows=64))) as client:
        yield client


async def factors_of(client: httpx.AsyncClient, latents: Any) -> dict[str, Any]:
    """The factors of latents, by POST /factors."""
    answer = await client.post("/models/digits/factors", json={"latents": np.asarray(latents).tolist()})
    return {name: np.array(block) for name, block in answer.json()["factors"].items()}


@pytest.mark.parametrize("edit", EDITS, ids=[next(kind for kind in edit if kind != "factor") for edit in EDITS])
async def test_other_factors_stay(digits: httpx.AsyncClient, edit: dict[str, Any]) -> None:
    """Encoded again, the edited latents have all other factors as before, within 1e-4, and the factor as it was made."""
    before = await factors_of(digits, LATENTS)
    answer = await digits.post("/models/digits/edit", json={"latents": LATENTS.tolist(), "edits": [edit]})
    after = await factors_of(digits, answer.json()["latents"])
    changes = {name: np.abs(after[name] - before[name]).max() for name in before}
    assert changes.pop(edit["factor"]) > 0.05
    assert max(changes.values()) < 1e-4
    assert max(answer.json()["round_trip_error"]) < 1e-4


async def test_a_swapped_color_is_the_donor_s(digits: httpx.AsyncClient) -> None:
    """Encoded again, each row's color is its donor's."""
    edit = {"factor": "color", "swap": DONORS.tolist()}
    answer = await digits.post("/models/digits/edit", json={"latents": LATENTS.tolist(), "edits": [edit]})
    after, donors = [await factors_of(digits, rows) for rows in (answer.json()["latents"], DONORS)]
    np.testing.assert_allclose(after["color"], donors["color"], atol=1e-4)


async def test_images_go_all_the_way_round(digits: httpx.AsyncClient) -> None:
    """Images become latents, these the images again, nearly, in the shape that the model tells."""
    answer = await digits.post("/models/digits/latents", json={"inputs": EXAMPLES["inputs"].tolist()})
    latents = answer.json()["latents"]
    np.testing.assert_allclose(latents, EXAMPLES["latents"], atol=1e-4)
    outputs = np.array((await digits.post("/models/digits/decode", json={"latents": latents})).json()["outputs"])
    assert outputs.shape == (16, 8, 8, 3)
    assert np.square(outputs.reshape(16, 192) - EXAMPLES["inputs"]).mean() < 0.01
    detail = (await digits.get("/models/digits")).json()
    assert (detail["encoder"]["input_shape"], detail["decoder"]["output_shape"]) == ([192], [8, 8, 3])
    assert detail["decoder"]["kind"] == "image"
    assert detail["decoder"]["checks"][0]["name"] == "compiled as layers"


async def test_both_versions_have_everything(digits: httpx.AsyncClient) -> None:
    """Version 1 is edited, sampled and decoded as version 2 is."""
    for version in ("1", "2"):
        path = f"/models/digits/versions/{version}"
        answer = await digits.post(f"{path}/sample?decode=true", json={"count": 3, "seed": 1})
        assert np.shape(answer.json()["outputs"]) == (3, 8, 8, 3)
        assert np.shape((await digits.get(f"{path}/examples")).json()["inputs"]) == (16, 192)
