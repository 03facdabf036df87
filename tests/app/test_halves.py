"""What lies beside a flow is loaded with it: halves that fit, from their plans or by a loader, and examples."""

import hashlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from app.errors import UnloadableModel
from app.halves import load_half_with_keras
from app.model import Model, is_unchanged, load
from app.primitives import Primitive
from gyoza.inference import CompiledHalf, HalfPlan, LoadedHalf, Proof, write_half
from gyoza.inference.checks import Check
from gyoza.inference.plan import Dense, DenseNetwork
from tests.app.worlds import INPUTS, LATENTS, SIZE, decoder, encoder, put, put_halves, tiny_loader

ROWS = (1, 8)
DIGEST = hashlib.sha256(b"a half").hexdigest()


def load_tiny(path: Path, **options: Any) -> Model:
    """Load a version with the tiny loader."""
    return load(path, tiny_loader, ROWS, **options)


def test_halves_are_loaded_and_timed(tmp_path: Path) -> None:
    """Encoder, decoder and examples are the model's, and a pass of each half is timed as those of the flow are."""
    model = load_tiny(put_halves(put(tmp_path)))
    beside = model.beside
    assert beside.encoder
    assert beside.decoder
    assert beside.examples
    np.testing.assert_array_equal(beside.encoder.run(INPUTS), encoder()(INPUTS))
    np.testing.assert_array_equal(beside.decoder.run(LATENTS), decoder()(LATENTS))
    np.testing.assert_array_equal(beside.examples["inputs"], INPUTS)
    assert {primitive: list(seconds) for primitive, seconds in model.seconds.items()} == {
        primitive: list(ROWS) for primitive in Primitive
    }
    assert model.traces == 0
    assert set(model.files) == {
        "flow.keras",
        "encoder.plan.safetensors",
        "decoder.plan.safetensors",
        "examples.safetensors",
    }


def test_nothing_need_lie_there(tmp_path: Path) -> None:
    """A flow alone, in a folder or as a loose file, has no halves and no examples."""
    (tmp_path / "other.keras").write_text("affine")
    for path in (put(tmp_path), tmp_path / "other.keras"):
        beside = load_tiny(path).beside
        assert (beside.encoder, beside.decoder, beside.examples) == (None, None, None)


def test_another_half_is_another_version(tmp_path: Path) -> None:
    """A half that was replaced, added or removed makes the version another one to be loaded anew."""
    path = put_halves(put(tmp_path))
    model = load_tiny(path)
    assert is_unchanged(path, model)
    write_half(path / "decoder.plan.safetensors", decoder().plan, Proof((), DIGEST))
    assert not is_unchanged(path, model)


def test_outputs_take_the_shape_of_the_manifest(tmp_path: Path) -> None:
    """[outputs] brings the decoder's rows into a shape, and names their kind."""
    path = put_halves(put(tmp_path, manifest="[outputs]\nshape = [2, 3]\nkind = 'image'\n"))
    half = load_tiny(path).beside.decoder
    assert half
    assert (half.run.output_shape, half.kind) == ((2, 3), "image")
    assert half.run(LATENTS).shape == (2, 2, 3)


def loader_of(digest: str | None = DIGEST, checks: tuple[Check, ...] = ()) -> Any:
    """A loader that makes the tiny decoder of any file."""
    return lambda _: LoadedHalf(decoder(), checks, digest)


def test_a_half_without_a_plan_goes_through_the_loader(tmp_path: Path) -> None:
    """A .keras file is given to the loader, and must be what was digested."""
    path = put(tmp_path)
    (path / "decoder.keras").write_bytes(b"a half")
    for digest in (DIGEST, None):
        half = load_tiny(path, half_loader=loader_of(digest)).beside.decoder
        assert half
        assert half.run.output_shape == (6,)
    with pytest.raises(UnloadableModel, match=r"decoder\.keras changed while it was loaded"):
        load_tiny(path, half_loader=loader_of("0" * 64))
    failed = (Check("compiled as layers", 0.5, 1e-4),)
    with pytest.raises(
        UnloadableModel, match=r"the decoder does not pass its load checks \(compiled as layers: error 0\.5"
    ):
        load_tiny(path, half_loader=loader_of(checks=failed))


def test_a_plan_is_served_in_the_half_s_place(tmp_path: Path) -> None:
    """Beside a .keras file a plan is taken if it says that it was made of it, and refused if not."""
    path = put(tmp_path)
    (path / "encoder.keras").write_bytes(b"a half")
    write_half(path / "encoder.plan.safetensors", encoder().plan, Proof((), DIGEST))
    assert load_tiny(path).beside.encoder
    for proof, received in ((Proof((), "0" * 64), "0000"), (Proof(), "a plan that records none")):
        write_half(path / "encoder.plan.safetensors", encoder().plan, proof)
        with pytest.raises(
            UnloadableModel, match=rf"must be compiled from the encoder\.keras .* {DIGEST}\. Received: {received}"
        ):
            load_tiny(path)


def narrow(inputs: int, outputs: int, kernel: float = 1.0) -> CompiledHalf:
    """A half of any sizes."""
    network = DenseNetwork((Dense(np.full((inputs, outputs), kernel), np.zeros(outputs)),))
    return CompiledHalf(HalfPlan(network, (inputs,), (outputs,), np.dtype("float32")))


@pytest.mark.parametrize(
    ("name", "half", "reason"),
    [
        ("encoder", narrow(3, 5), r"outputs of the encoder must have the shape .* latents, \[4\]\. Received: \[5\]"),
        ("decoder", narrow(5, 6), r"inputs of the decoder must have the shape .* latents, \[4\]\. Received: \[5\]"),
        (
            "decoder",
            narrow(SIZE, 5),
            r"\[outputs\] in flow\.toml does not fit .* the outputs, \[5\]\. Received: \[2, 3\]",
        ),
        ("decoder", narrow(SIZE, 6, 3e38), r"does not pass its load checks \(.*finite on probe rows: error \d"),
    ],
)
def test_a_half_that_does_not_fit_does_not_load(tmp_path: Path, name: str, half: CompiledHalf, reason: str) -> None:
    """Halves meet the flow in its latents, give the outputs that flow.toml tells, and finite ones."""
    path = put(tmp_path, manifest="[outputs]\nshape = [2, 3]\n")
    write_half(path / f"{name}.plan.safetensors", half.plan)
    with pytest.raises(UnloadableModel, match=reason):
        load_tiny(path)


def test_a_damaged_plan_does_not_load(tmp_path: Path) -> None:
    """A plan that can't be read is the version's reason, and so is one that flow.toml has another digest of."""
    path = put(tmp_path)
    (path / "decoder.plan.safetensors").write_bytes(b"PK")
    with pytest.raises(UnloadableModel, match=r"decoder\.plan\.safetensors must hold a half that can be run"):
        load_tiny(path)
    (path / "flow.toml").write_text(f"[files]\n'decoder.plan.safetensors' = '{'0' * 64}'\n")
    with pytest.raises(UnloadableModel, match=r"decoder\.plan\.safetensors must have the SHA-256 0000"):
        load_tiny(path)


@pytest.mark.parametrize(
    ("tensors", "reason"),
    [
        ({"inputs": INPUTS}, r"latents must have the shape \[n, 4\]\. Received: none"),
        ({"latents": INPUTS}, r"latents must have the shape \[n, 4\]\. Received: \(3, 3\)"),
        ({"latents": np.zeros((0, 4), np.float32)}, r"latents must hold floats, .* Received: float32, 0 rows"),
        ({"latents": np.zeros((1, 4), np.int32)}, r"latents must hold floats, .* Received: int32, 1 rows"),
        ({"latents": np.full((1, 4), 1e39)}, "latents must be finite in float32"),
        ({"latents": np.zeros((2, 4)), "inputs": INPUTS}, r"inputs must have the shape \[2, 3\]\. Received: \(3, 3\)"),
        ({"latents": np.zeros((3, 4)), "inputs": INPUTS[:, :2]}, r"inputs must have the shape \[3, 3\]"),
    ],
)
def test_examples_that_do_not_fit_do_not_load(tmp_path: Path, tensors: Mapping[str, Any], reason: str) -> None:
    """Examples are finite latents of the flow, and inputs of the encoder, a row for each."""
    path = put_halves(put(tmp_path))
    save_file(dict(tensors), path / "examples.safetensors")
    with pytest.raises(UnloadableModel, match=rf"examples\.safetensors must be .* examples: {reason}"):
        load_tiny(path)


def test_without_an_encoder_inputs_may_be_anything(tmp_path: Path) -> None:
    """Inputs then say themselves what they are."""
    path = put(tmp_path)
    save_file({"latents": np.zeros((2, 4)), "inputs": np.zeros((2, 5, 5))}, path / "examples.safetensors")
    examples = load_tiny(path).beside.examples
    assert examples is not None
    assert (examples["inputs"].shape, examples["inputs"].dtype.name) == ((2, 5, 5), "float32")


def test_without_keras_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Keras is not installed, the reason says which extra to install."""
    monkeypatch.setitem(sys.modules, "gyoza.loading", None)
    with pytest.raises(UnloadableModel, match=r"decoder\.keras needs Keras.*extra cpu or gpu"):
        load_half_with_keras(tmp_path / "decoder.keras")
