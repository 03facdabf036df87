"""Flows of this library written in the layout of gyoza 0.3, of which there are but four files, give the same numbers."""

from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest

from gyoza.loading import load_flow, load_model, load_weights
from gyoza.loading.archive import open_weights
from gyoza.modelling.flow_layers import (
    ActivationNormalization,
    CheckerBoardPermutation,
    DisentanglingFlowModel,
    FlowModel,
    HeavisidePermutation,
    Permutation,
    Reflection,
    ShufflePermutation,
)
from gyoza.modelling.masks import CheckerBoardMask, HeavisideMask, Mask
from tests.loading.archives import read
from tests.loading.originals import (
    COMPILED,
    NAMES,
    SIZES,
    as_original,
    forget_flags,
    keras_file,
    listing,
    original_config,
)
from tests.loading.remade import additive, dense, factor_loss, pairs
from tests.modelling.layers import randomize


def without_ids(value: Any) -> Any:
    """A config without the numbers that only tell which of its parts are one object."""
    if isinstance(value, list):
        return [without_ids(item) for item in value]
    if isinstance(value, dict):
        return {key: without_ids(item) for key, item in value.items() if key != "shared_object_id"}
    return value


@pytest.mark.parametrize("name", NAMES)
def test_the_layout_of_these_tests_is_that_of_the_original_library(name: str, tmp_path: Path) -> None:
    """An original file, loaded, saved by this library and written in the original's layout, is the original again."""
    sizes = SIZES if name == COMPILED else None
    load_model(keras_file(name), dimensions_per_factor=sizes).save(tmp_path / "ours.keras")
    again = as_original(tmp_path / "ours.keras", tmp_path / "original.keras")
    assert read(tmp_path / "ours.keras") != read(again)
    assert without_ids(read(again)) == without_ids(read(keras_file(name)))
    with open_weights(again) as found, open_weights(keras_file(name)) as expected:
        assert listing(found) == listing(expected)


LAYOUTS: dict[str, tuple[list[int], list[int], tuple[int, ...]]] = {
    "even": ([6], [1], (6,)),
    "odd": ([7], [1], (7,)),
    "images": ([3, 5], [1, 2], (3, 5, 2)),
    "axes apart": ([2, 3], [1, 3], (2, 4, 3)),
}
"""The layers' shape, their axes, and the shape of one latent."""


def flow(kind: type[FlowModel], layout: str, dtype: str, model_dtype: str | None = None) -> Any:
    """A flow with every kind of layer that gyoza 0.3 had, and with random weights."""
    shape, axes, latent = LAYOUTS[layout]
    at: dict[str, Any] = {"shape": shape, "axes": axes}
    count = int(np.prod(shape))
    flags = np.random.default_rng(1).integers(0, 2, count).tolist()

    def network() -> Any:
        if len(latent) == 1:
            return dense(count, 4, "tanh", dtype)
        return keras.layers.Conv2D(latent[-1], 2, padding="same", activation="tanh", dtype=dtype)

    layers = [
        ActivationNormalization(**at, dtype=dtype),
        Reflection(**at, reflection_count=3, dtype=dtype),
        additive(HeavisideMask(**at), network(), dtype),
        HeavisidePermutation(**at, dtype=dtype),
        additive(CheckerBoardMask(**at), network(), dtype),
        CheckerBoardPermutation(**at, dtype=dtype),
        ShufflePermutation(**at, dtype=dtype),
        additive(Mask(**at, mask=flags), network(), dtype),
        Permutation(**at, permutation=np.random.default_rng(2).permutation(count).tolist(), dtype=dtype),
        FlowModel([Reflection(**at, reflection_count=1, dtype=dtype)]),
    ]
    model = kind(layers, dtype=model_dtype)
    model.build((None, *latent))
    randomize(model, 3)
    return model


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", [FlowModel, DisentanglingFlowModel])
def test_every_kind_of_layer_loads_from_the_original_layout(
    kind: type[FlowModel], layout: str, dtype: str, tmp_path: Path
) -> None:
    """Written as gyoza 0.3 wrote it, whole or as weights, a flow gives the numbers that it gave before."""
    model = flow(kind, layout, dtype)
    model.save(tmp_path / "ours.keras")
    whole = as_original(tmp_path / "ours.keras", tmp_path / "original.keras")
    model.save_weights(tmp_path / "original.weights.h5")
    with h5py.File(tmp_path / "original.weights.h5", "a") as file:
        forget_flags(file)
    filled = flow(kind, layout, dtype)
    randomize(filled, 4)
    load_weights(filled, tmp_path / "original.weights.h5")
    x = np.random.default_rng(0).standard_normal((3, *LAYOUTS[layout][2])).astype(dtype)
    codes, logdet = model(x)
    inverse = model.invert(codes)
    for other in (load_model(whole), keras.saving.load_model(whole), filled):
        assert type(other) is kind
        assert other.compute_dtype == dtype
        for found, expected in zip((*other(x), other.invert(codes)), (codes, logdet, inverse), strict=True):
            np.testing.assert_array_equal(found, expected)
    compiled = load_flow(whole)
    assert all(check.passed for check in compiled.checks)
    np.testing.assert_allclose(compiled.flow.encode(x)[0], codes, atol=5e-6)


def test_precise_layers_in_a_model_that_is_not_load(tmp_path: Path) -> None:
    """In gyoza 0.3 a model of float64 layers was itself float32 unless told otherwise; it stays so."""
    model = flow(FlowModel, "odd", "float64", "float32")
    model.save(tmp_path / "ours.keras")
    loaded = load_model(as_original(tmp_path / "ours.keras", tmp_path / "original.keras"))
    assert (loaded.compute_dtype, loaded._flow_layers_[0].compute_dtype) == ("float32", "float64")
    x = np.random.default_rng(0).standard_normal((3, 7))
    np.testing.assert_array_equal(loaded(x)[0], model(x)[0])


def test_a_compiled_flow_goes_on_from_the_original_layout(tmp_path: Path) -> None:
    """A flow that was trained, written as gyoza 0.3 wrote it, makes the same next step as before."""
    model, (x, y) = flow(DisentanglingFlowModel, "even", "float32"), pairs(6)
    model.compile(keras.optimizers.Adam(0.01), factor_loss([2, 2, 2]), run_eagerly=True)
    model.train_on_batch(x, y)
    model.save(tmp_path / "ours.keras")
    original = as_original(tmp_path / "ours.keras", tmp_path / "original.keras")
    loaded = load_model(original, dimensions_per_factor=[2, 2, 2])
    for _ in range(2):
        assert loaded.train_on_batch(x, y) == model.train_on_batch(x, y)
    np.testing.assert_array_equal(loaded(x), model(x))


def test_the_layout_holds_nothing_of_ours() -> None:
    """What is written in the original's layout names no class as this library does."""
    model = flow(DisentanglingFlowModel, "even", "float32")
    assert "gyoza>" in str(keras.saving.serialize_keras_object(model))
    assert "gyoza>" not in str(original_config(keras.saving.serialize_keras_object(model)))
