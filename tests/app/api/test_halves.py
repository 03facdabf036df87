"""The halves beside a flow and the examples, driven from outside."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from safetensors.numpy import load, save

from gyoza.inference.plan import Floats
from tests.app.metrics.test_metrics import samples, value
from tests.app.worlds import INPUTS, LATENTS, app_of, client_of, decoder, encoder, put, put_halves

SAFETENSORS = "application/vnd.safetensors"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a flow with an encoder of 3 inputs and a decoder to images of 1×2×3."""
    put_halves(put(tmp_path, manifest="[outputs]\nshape = [1, 2, 3]\nkind = 'image'\n"))
    async with client_of(app_of(tmp_path)) as client:
        yield client


def outputs_of(latents: object) -> Floats:
    """What the decoder makes, in the shape that flow.toml tells."""
    return decoder()(np.array(latents, np.float32)).reshape(-1, 1, 2, 3)


@pytest.mark.parametrize("prefix", ["", "/models/tiny", "/models/tiny/versions/1"])
async def test_inputs_become_latents_and_latents_outputs(world: httpx.AsyncClient, prefix: str) -> None:
    """POST /latents runs the encoder and POST /decode the decoder, whose outputs have the shape of flow.toml."""
    body = (await world.post(f"{prefix}/latents", json={"inputs": INPUTS.tolist()})).json()
    assert list(body) == ["model", "version", "latents"]
    np.testing.assert_allclose(body["latents"], encoder()(INPUTS), rtol=1e-6)
    body = (await world.post(f"{prefix}/decode", json={"latents": LATENTS})).json()
    assert list(body) == ["model", "version", "outputs"]
    np.testing.assert_allclose(body["outputs"], outputs_of(LATENTS), rtol=1e-6)


async def test_halves_take_and_give_safetensors(world: httpx.AsyncClient) -> None:
    """Both take and answer safetensors, bit by bit what the halves give."""
    headers = {"Content-Type": SAFETENSORS}
    answer = await world.post("/latents", content=save({"inputs": INPUTS}), headers=headers)
    latents = load(answer.content)["latents"]
    np.testing.assert_allclose(latents, encoder()(INPUTS), rtol=1e-6)
    answer = await world.post("/decode", content=save({"latents": latents}), headers=headers)
    np.testing.assert_allclose(load(answer.content)["outputs"], outputs_of(latents), rtol=1e-6)


async def test_invert_decodes_when_asked(world: httpx.AsyncClient) -> None:
    """?decode=true adds the outputs of the latents that are answered, to JSON and safetensors alike."""
    body = (await world.post("/invert?decode=true&check=true", json={"codes": LATENTS})).json()
    assert list(body) == ["model", "version", "latents", "round_trip_error", "outputs"]
    np.testing.assert_allclose(body["outputs"], outputs_of(body["latents"]), rtol=1e-5, atol=1e-6)
    codes = save({"codes": np.array(LATENTS, np.float32)})
    answer = await world.post("/invert?decode=1", content=codes, headers={"Content-Type": SAFETENSORS})
    assert set(load(answer.content)) == {"latents", "outputs"}
    assert "outputs" not in (await world.post("/invert?decode=false", json={"codes": LATENTS})).json()
    assert (await world.post("/invert?decode=maybe", json={"codes": LATENTS})).status_code == 422


async def test_examples_are_given(world: httpx.AsyncClient) -> None:
    """GET /examples gives latents and inputs as lists or as safetensors, and HEAD answers too."""
    answer = await world.get("/models/tiny/examples")
    body = answer.json()
    assert list(body) == ["model", "version", "latents", "inputs"]
    np.testing.assert_allclose(body["inputs"], INPUTS, rtol=1e-6)
    np.testing.assert_allclose(body["latents"], encoder()(INPUTS), rtol=1e-6)
    tensors = load((await world.get("/examples", headers={"Accept": SAFETENSORS})).content)
    np.testing.assert_array_equal(tensors["inputs"], INPUTS)
    head = await world.head("/examples")
    assert (head.status_code, head.content) == (200, b"")
    assert (await world.post("/examples", json={})).headers["allow"] == "GET, HEAD"


async def test_what_is_not_there_is_a_conflict(client: httpx.AsyncClient) -> None:
    """A model without halves or examples answers 409, and says which file to add."""
    for answer, file in (
        (await client.post("/latents", json={"inputs": [[1]]}), "encoder.keras"),
        (await client.post("/decode", json={"latents": LATENTS}), "decoder.keras"),
        (await client.post("/invert?decode=true", json={"codes": LATENTS}), "decoder.keras"),
        (await client.post("/edit?decode=true", json={"latents": LATENTS, "edits": []}), "decoder.keras"),
        (await client.post("/sample?decode=true", json={"count": 1}), "decoder.keras"),
        (await client.get("/examples"), "examples.safetensors"),
    ):
        assert (answer.status_code, answer.json()["type"]) == (409, "urn:gyoza:conflict")
        assert file in answer.json()["detail"]


@pytest.mark.parametrize(
    ("path", "body", "field", "message"),
    [
        ("/latents", {"inputs": [[1, 2]]}, "inputs", "must have the shape [n, 3]. Received: [1, 2]"),
        ("/latents", {"latents": LATENTS}, "inputs", "missing"),
        ("/decode", {"latents": [[1, 2]]}, "latents", "must have the shape [n, 4]. Received: [1, 2]"),
        ("/decode", {"latents": [[3e38] * 4]}, "latents", "the results must be finite in float32"),
        ("/invert?decode=true", {"codes": [[3e38] * 4]}, "codes", "the results must be finite in float32"),
    ],
)
async def test_what_does_not_fit_is_refused(
    world: httpx.AsyncClient, path: str, body: dict[str, object], field: str, message: str
) -> None:
    """Shapes, and results that overflow, are told with their field."""
    answer = await world.post(path, json=body)
    assert answer.status_code == 422, answer.text
    error = answer.json()["errors"][0]
    assert error["field"] == field
    assert message in error["message"]


async def test_a_model_tells_of_its_halves(world: httpx.AsyncClient) -> None:
    """GET /models/{model} shows what the halves take and give, and how they were checked."""
    detail = (await world.get("/models/tiny")).json()
    assert detail["examples"] == 3
    encoder, decoder = detail["encoder"], detail["decoder"]
    assert (encoder["input_shape"], encoder["output_shape"], encoder["kind"]) == ([3], [4], None)
    assert (decoder["input_shape"], decoder["output_shape"], decoder["kind"]) == ([4], [1, 2, 3], "image")
    assert encoder["dtype"] == "float32"
    assert encoder["layers"] == "not recorded"
    for half in (encoder, decoder):
        assert [check["name"] for check in half["checks"]] == ["compiled as its steps", "finite on probe rows"]
        assert all(check["passed"] for check in half["checks"])


async def test_halves_go_through_queues_of_their_own(world: httpx.AsyncClient) -> None:
    """Their passes are counted by primitive, as those of the flow are."""
    await world.post("/latents", json={"inputs": INPUTS.tolist()})
    await world.post("/decode", json={"latents": LATENTS})
    found = samples((await world.get("/metrics")).content)
    for primitive, count in (("latents", 3), ("decode", 2)):
        lane = {"model": "tiny", "version": "1", "primitive": primitive}
        assert value(found, "gyoza_batch_rows_sum", **lane) == count


async def test_halves_in_another_dtype_are_cast(tmp_path: Path) -> None:
    """A half may compute in float32 beside a flow in float64: tensors are the flow's."""
    put_halves(put(tmp_path, text="coupled"))
    async with client_of(app_of(tmp_path)) as client:
        body = save({"latents": np.array(LATENTS)})
        answer = await client.post("/decode", content=body, headers={"Content-Type": SAFETENSORS})
    outputs = load(answer.content)["outputs"]
    assert outputs.dtype == np.float64
    np.testing.assert_allclose(outputs, decoder()(LATENTS), rtol=1e-6)


async def test_outputs_are_bounded_in_bytes(tmp_path: Path) -> None:
    """What a decoder or an encoder makes of a body may be no larger than a body."""
    put_halves(put(tmp_path))
    latents, inputs = [[0] * 4] * 50, [[0] * 3] * 70
    async with client_of(app_of(tmp_path, max_body_bytes=1024)) as client:
        for name, body in (("decode", {"latents": latents}), ("latents", {"inputs": inputs})):
            answer = await client.post(f"/{name}", json=body)
            assert answer.status_code == 413, answer.text
            assert "answer may have at most 1024 bytes" in answer.json()["detail"]
