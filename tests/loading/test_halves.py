"""What loading the halves of a host network promises: the model's numbers, proven, from files that may do no harm."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from gyoza.inference import load_checked_half
from gyoza.inference.plan import DenseNetwork, OpaqueNetwork
from gyoza.loading import LoadError, compile_half, load_half
from gyoza.modelling.flow_layers import FlowModel, HeavisidePermutation

IMAGE = (4, 4, 3)


def chained(*layers: Any, shape: tuple[int | None, ...] = (4,), **options: Any) -> Any:
    """A Sequential model."""
    return keras.Sequential([keras.Input(shape, **options), *layers])


def functional() -> Any:
    """A functional model in which each layer feeds the next."""
    x = keras.Input((4,))
    return keras.Model(x, keras.layers.Dense(3)(keras.layers.Dropout(0.5)(keras.layers.Dense(5, "relu")(x))))


def branching() -> Any:
    """A functional model that goes two ways."""
    x = keras.Input((4,))
    return keras.Model(x, keras.layers.Add()([keras.layers.Dense(3)(x), keras.layers.Dense(3)(x)]))


def rescaled() -> Any:
    """An encoder of images: inputs are rescaled and flattened, and the latents rescaled at the end."""
    layers = keras.layers
    return chained(
        layers.Rescaling(1 / 4, offset=-0.5),
        layers.Rescaling(2.0),
        layers.Flatten(),
        layers.Dense(8),
        layers.Rescaling(0.5, 1.0),
        layers.Activation("tanh"),
        layers.Rescaling(3.0, 0.25),
        layers.Dense(6),
        layers.Rescaling(2.0, -1.0),
        layers.Reshape((2, 3)),
        shape=IMAGE,
    )


DENSE = {
    "dense": lambda: chained(keras.layers.Dense(5, "silu"), keras.layers.Dense(3)),
    "nested": lambda: chained(chained(keras.layers.Dense(5, "relu")), keras.layers.Dense(3, use_bias=False)),
    "functional": functional,
    "rescaled": rescaled,
    "float64": lambda: chained(keras.layers.Dense(3, dtype="float64"), dtype="float64"),
}
OPAQUE = {
    "branching": branching,
    "convolution": lambda: chained(
        keras.layers.Conv2D(2, 3), keras.layers.Flatten(), keras.layers.Dense(3), shape=IMAGE
    ),
    "unknown activation": lambda: chained(keras.layers.Dense(3, "gelu")),
    "activation first": lambda: chained(keras.layers.Activation("tanh"), keras.layers.Dense(3)),
    "activation between": lambda: chained(
        keras.layers.Rescaling(2.0), keras.layers.Activation("tanh"), keras.layers.Dense(3)
    ),
    "scaled at the end": lambda: chained(keras.layers.Dense(3, "tanh"), keras.layers.Rescaling(2.0)),
    "scaled by channel": lambda: chained(keras.layers.Rescaling([1.0, 2.0, 3.0, 4.0]), keras.layers.Dense(3)),
    "nothing dense": lambda: chained(keras.layers.Reshape((2, 2))),
    "along one axis": lambda: chained(keras.layers.Dense(5), shape=(2, 4)),
    "channels first": lambda: chained(
        keras.layers.Flatten(data_format="channels_first"), keras.layers.Dense(3), shape=IMAGE
    ),
    "half precision": lambda: chained(keras.layers.Dense(3, dtype="mixed_bfloat16")),
}


MAKERS: dict[str, Callable[[], Any]] = {**DENSE, **OPAQUE}


def saved(model: Any, folder: Path) -> Path:
    """The file of a model."""
    model.save(folder / "half.keras")
    return folder / "half.keras"


@pytest.mark.parametrize("name", [*DENSE, *OPAQUE])
def test_a_half_gives_the_model_s_numbers(name: str, tmp_path: Path) -> None:
    """A chain of dense layers becomes dense layers, all else a function; both give what the model does, and are proven."""
    model = MAKERS[name]()
    loaded = load_half(saved(model, tmp_path))
    half = loaded.half
    assert isinstance(half.plan.network, DenseNetwork if name in DENSE else OpaqueNetwork)
    rows = np.random.RandomState(3).normal(size=(5, *model.input_shape[1:])).astype(half.dtype)
    limit = 2e-2 if name == "half precision" else 1e-5
    np.testing.assert_allclose(half(rows), np.asarray(model(rows)), rtol=limit, atol=limit)
    assert half.dtype == ("float64" if name == "float64" else "float32")
    assert [check.name for check in loaded.checks] == ["compiled as layers", "finite on probe rows"]
    assert all(check.passed for check in loaded.checks)
    assert loaded.digest == hashlib.sha256((tmp_path / "half.keras").read_bytes()).hexdigest()
    assert loaded.parameters == model.count_params()
    assert half.traces == (name in OPAQUE and keras.backend.backend() == "tensorflow")


@pytest.mark.parametrize("name", DENSE)
def test_a_dense_half_is_compiled_ahead_of_time(name: str, tmp_path: Path) -> None:
    """Its plan gives the same numbers without Keras, and records the checks and the digest of its file."""
    path = saved(MAKERS[name](), tmp_path)
    plan = tmp_path / "half.plan.safetensors"
    compiled = compile_half(path, str(plan))
    loaded, proof = load_checked_half(plan)
    rows = np.random.RandomState(3).normal(size=(5, *loaded.half.input_shape))
    np.testing.assert_array_equal(loaded.half(rows), load_half(path).half(rows))
    assert {check.name for check in compiled.checks} == {
        "compiled as layers",
        "compiled as its steps",
        "finite on probe rows",
    }
    assert proof.flow_digest == hashlib.sha256(path.read_bytes()).hexdigest()


def test_no_plan_is_written_of_what_calls_code_or_is_not_proven(tmp_path: Path) -> None:
    """What can't be a plan, or fails a check, leaves what was there."""
    plan = tmp_path / "half.plan.safetensors"
    plan.write_text("old")
    with pytest.raises(ValueError, match="calls the model"):
        compile_half(saved(branching(), tmp_path), plan)
    model = chained(keras.layers.Dense(3, kernel_initializer=keras.initializers.Constant(1e38)))
    with pytest.raises(LoadError, match=r"does not pass its checks, so no plan was written \(.*finite on probe rows"):
        compile_half(saved(model, tmp_path), plan)
    assert plan.read_text() == "old"


def two_inputs() -> Any:
    """A model of two inputs."""
    x, y = keras.Input((4,)), keras.Input((4,))
    return keras.Model([x, y], keras.layers.Add()([x, y]))


def a_flow() -> Any:
    """A flow is no half."""
    flow = FlowModel([HeavisidePermutation(shape=[4], axes=[1])])
    flow.build((None, 4))
    return flow


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (two_inputs, "its inputs one tensor of floats"),
        (lambda: chained(keras.layers.Conv2D(2, 3, padding="same"), shape=(None, None, 3)), "of a fixed shape"),
        (lambda: chained(keras.layers.Reshape((2, 2)), dtype="int32"), "one tensor of floats .* of int32"),
        (a_flow, "Received: FlowModel"),
        (lambda: chained(keras.layers.RepeatVector(2**17)), "at most 262,144 entries. Received: 524,288"),
    ],
)
def test_what_is_no_half_is_refused(make: Any, reason: str, tmp_path: Path) -> None:
    """One input and one output of floats, of fixed shapes and no endless size."""
    with pytest.raises(LoadError, match=reason):
        load_half(saved(make(), tmp_path))


def test_foreign_code_is_refused(tmp_path: Path) -> None:
    """A half is loaded with the care of a flow: no Lambda, whatever it holds."""
    path = saved(chained(keras.layers.Lambda(lambda x: x), keras.layers.Dense(3)), tmp_path)
    with pytest.raises(LoadError, match=r"names keras\.layers\.Lambda \(layer 'lambda"):
        load_half(path)


def test_a_half_that_can_t_be_run_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever Keras raises when a half first runs is its reason."""
    path = saved(branching(), tmp_path)

    def fail(*_: Any) -> None:
        raise RuntimeError("out of order")

    monkeypatch.setattr("gyoza.loading.halves.check_half", fail)
    with pytest.raises(LoadError, match=r"half\.keras can't be run: RuntimeError: out of order"):
        load_half(path)
