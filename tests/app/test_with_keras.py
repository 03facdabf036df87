"""The service over the library: real files, loaded by Keras."""

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.main import create_app
from app.settings import Settings
from gyoza.inference import Proof
from tests.app.worlds import affine, client_of, put, put_halves, rows

FACTORS = {"residual": 2, "digit": 2}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a flow saved by the library, and a file that is no flow beside it."""
    from gyoza.modelling.flow_layers import ActivationNormalization, DisentanglingFlowModel, Reflection

    at: dict[str, Any] = {"shape": [4], "axes": [1]}
    layers = [ActivationNormalization(**at), Reflection(**at, reflection_count=2)]
    flow = DisentanglingFlowModel(flow_layers=layers, factors=FACTORS)
    flow.build((None, 4))
    folder = tmp_path_factory.mktemp("models")
    put(folder, name="corrupted", text="PK no archive")
    flow.save(put(folder, name="small") / "flow.keras")
    return folder


async def test_a_saved_flow_is_served(models: Path) -> None:
    """A flow saved by the library is proven, served with its own factors, and gives the numbers of its compiled form."""
    from gyoza.loading import load_flow

    latents = rows(5)
    codes, logdet = load_flow(models / "small/1/flow.keras").flow.encode(latents)
    async with client_of(create_app(Settings(models_dir=models))) as client:
        detail = (await client.get("/models/small")).json()
        body = (await client.post("/factors", json={"latents": latents.tolist()})).json()
        back = (await client.post("/invert?check=true", json={"factors": body["factors"]})).json()
    assert {factor["name"]: factor["size"] for factor in detail["factors"]} == FACTORS
    assert len(detail["checks"]) > 3
    assert all(check["passed"] is not False for check in detail["checks"])
    np.testing.assert_allclose(np.concatenate(list(body["factors"].values()), axis=1), codes, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(body["logdet"], logdet, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(back["latents"], latents, rtol=1e-4, atol=1e-5)
    assert max(back["round_trip_error"]) < 1e-4


async def test_a_corrupted_file_stops_nobody(models: Path) -> None:
    """A corrupted file is UNAVAILABLE with a reason that names it, and the good flow beside it answers."""
    async with client_of(create_app(Settings(models_dir=models))) as client:
        states = {
            item["name"]: (item["state"], item["reason"]) for item in (await client.get("/models")).json()["models"]
        }
        answer = await client.post("/encode", json={"latents": rows(1).tolist()})
    assert states["small"] == ("READY", None)
    assert states["corrupted"][0] == "UNAVAILABLE"
    assert "flow.keras" in (states["corrupted"][1] or "")
    assert answer.json()["model"] == "small"


async def test_code_of_one_s_own_is_traced_at_warm_up_and_never_again(tmp_path: Path) -> None:
    """A network that a plan only calls is traced while it loads; no number of rows makes it be traced anew."""
    import keras

    from gyoza.modelling.flow_layers import AdditiveCoupling, FlowModel
    from gyoza.modelling.masks import HeavisideMask

    x = keras.Input((4,))
    network = keras.Model(x, keras.layers.Add()([keras.layers.Dense(4)(x), keras.layers.Dense(4, "tanh")(x)]))
    at: dict[str, Any] = {"shape": [4], "axes": [1]}
    flow = FlowModel([AdditiveCoupling(**at, compute_coupling_parameters=network, mask=HeavisideMask(**at))])
    flow.build((None, 4))
    flow.save(put(tmp_path, name="branched") / "flow.keras")
    async with client_of(create_app(Settings(models_dir=tmp_path))) as client:
        before = (await client.get("/models/branched")).json()["traces"]
        for count in (1, 2, 7, 129):
            latents = rows(count)
            codes = (await client.post("/encode", json={"latents": latents.tolist()})).json()["codes"]
            np.testing.assert_allclose(codes, np.asarray(flow(latents)[0]), rtol=1e-5, atol=1e-6)
        after = (await client.get("/models/branched")).json()["traces"]
    assert before == after == 1


async def test_halves_of_any_layers_are_served(models: Path, tmp_path: Path) -> None:
    """An encoder of dense layers and a decoder of convolutions give what Keras does, traced at warm-up and never again."""
    import keras

    layers = keras.layers
    encoder = keras.Sequential([keras.Input((6,)), layers.Dense(4, "tanh")])
    decoder = keras.Sequential(
        [keras.Input((4,)), layers.Dense(8), layers.Reshape((2, 2, 2)), layers.Conv2D(3, 2, padding="same")]
    )
    path = put(tmp_path, name="whole", manifest="[outputs]\nshape = [4, 3]\n")
    (path / "flow.keras").write_bytes((models / "small/1/flow.keras").read_bytes())
    encoder.save(path / "encoder.keras")
    decoder.save(path / "decoder.keras")
    inputs = np.random.RandomState(0).uniform(size=(9, 6))
    async with client_of(create_app(Settings(models_dir=tmp_path))) as client:
        before = (await client.get("/models/whole")).json()["traces"]
        latents = (await client.post("/latents", json={"inputs": inputs.tolist()})).json()["latents"]
        outputs = (await client.post("/decode", json={"latents": latents})).json()["outputs"]
        detail = (await client.get("/models/whole")).json()
    np.testing.assert_allclose(latents, np.asarray(encoder(inputs)), rtol=1e-5, atol=1e-6)
    expected = np.asarray(decoder(np.array(latents))).reshape(9, 4, 3)
    np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-5)
    assert before == detail["traces"] == 1
    assert set(detail["files"]) == {"flow.keras", "flow.toml", "encoder.keras", "decoder.keras"}
    assert [check["name"] for check in detail["decoder"]["checks"]] == ["compiled as layers", "finite on probe rows"]


async def test_a_half_with_foreign_code_is_refused(models: Path, tmp_path: Path) -> None:
    """A decoder that names what is not on the list makes its version UNAVAILABLE, with the layer in the reason."""
    import keras

    path = put(tmp_path, name="whole")
    (path / "flow.keras").write_bytes((models / "small/1/flow.keras").read_bytes())
    keras.Sequential([keras.Input((4,)), keras.layers.Lambda(lambda x: x)]).save(path / "decoder.keras")
    async with client_of(create_app(Settings(models_dir=tmp_path))) as client:
        (model,) = (await client.get("/models")).json()["models"]
    assert model["state"] == "UNAVAILABLE"
    assert "decoder.keras can't be loaded: it names keras.layers.Lambda (layer 'lambda" in model["reason"]


def test_plans_are_served_without_keras(tmp_path: Path) -> None:
    """Where every version holds a plan, of its halves too, serving imports neither Keras nor a backend."""
    path = put_halves(put(tmp_path))
    digest = hashlib.sha256((path / "flow.keras").read_bytes()).hexdigest()
    affine().save(path / "plan.safetensors", Proof(flow_digest=digest))
    code = f"""
import sys
from pathlib import Path
from app.main import create_app
from app.repository import Repository
from app.settings import Settings

repository = Repository(Path({str(tmp_path)!r}))
repository.load_all()
create_app(Settings(models_dir=Path({str(tmp_path)!r})))
assert repository.is_ready(strict=True), repository.entries
sys.exit(bool({{"keras", "tensorflow", "jax", "torch"}} & set(sys.modules)))
"""
    subprocess.run([sys.executable, "-c", code], check=True)
