"""What every layer keeps to on every backend, from the table in ``layers.py``."""

from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from threading import Barrier
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from gyoza.inference import compile_flow
from gyoza.modelling import flow_layers
from gyoza.modelling.backend import gradient, jacobian
from gyoza.modelling.flow_layers import Coupling, DisentanglingFlowModel, FlowLayer, FlowModel
from gyoza.modelling.reference import LayeredFlow
from tests.modelling.layers import CASES, KINDS, Case, Kind, Layout, built, codes, error, made, over_layers, rows

ROUND_TRIP = {"float64": 1e-10, "float32": 1e-4}
LOGDET = {"float64": 1e-8, "float32": 1e-3}
AGREEMENT = {"float64": 1e-12, "float32": 1e-5}
"""Of two ways to compute the same thing."""
ON_TENSORFLOW = keras.backend.backend() == "tensorflow"
PRECISE = "float64" if ON_TENSORFLOW else "float32"
"""On its other backends Keras computes in float64 only here and there."""

over_dtypes = pytest.mark.parametrize("dtype", sorted({"float32", PRECISE}))


def as_model(layer: Any) -> FlowModel:
    """Make a model of a layer, unless it is one."""
    return layer if isinstance(layer, FlowModel) else FlowModel([layer])


@cache
def shared(name: str, dtype: str, seed: int | None = None) -> Any:
    """A layer of the table that is built once for all laws, none of which changes it."""
    return built(name, dtype, seed)


@cache
def shared_model(name: str, dtype: str) -> FlowModel:
    """A model of one layer of the table with random weights, built once for all laws, none of which changes it."""
    return built_model(name, dtype)


def built_model(name: str, dtype: str, seed: int = 1) -> FlowModel:
    """Make and build a model with random weights of one layer of the table."""
    model = as_model(built(name, dtype, seed))
    if not model.built:
        model.build((None, *CASES[name].shape))
    return model


@over_layers
@over_dtypes
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3, 1e6])
def test_invert_undoes_call(name: str, dtype: str, scale: float) -> None:
    """Invert gives back the inputs of call, and call the outputs of which invert was given, at every magnitude."""
    layer, x, y = shared(name, dtype, seed=1), rows(name, 7, dtype, scale), codes(name, 7, dtype, scale)
    found, _ = layer(x)
    assert found.shape == y.shape
    assert error(layer.invert(found), x) < ROUND_TRIP[dtype]
    if CASES[name].kind is not KINDS["own layer"]:  # A sinh of 1e3 is no number.
        assert error(layer(layer.invert(y))[0], y) < ROUND_TRIP[dtype]


@over_layers
@over_dtypes
@pytest.mark.parametrize("seed", [None, 1])
def test_logdet_is_that_of_the_jacobian(name: str, dtype: str, seed: int | None) -> None:
    """The logdet is log|det J| by automatic differentiation, and that of the inverse its negative."""
    layer, x, case = shared(name, dtype, seed), rows(name, 3, dtype), CASES[name]

    def forward(flat: Any) -> Any:
        return ops.reshape(layer(ops.reshape(flat, (-1, *case.shape)))[0], (-1, case.size))

    def backward(flat: Any) -> Any:
        return ops.reshape(layer.invert(ops.reshape(flat, (-1, *case.code_shape))), (-1, case.size))

    y, logdet = layer(x)
    expected = np.linalg.slogdet(jacobian(forward, x.reshape(3, -1)).astype("float64"))[1]
    returned = np.linalg.slogdet(jacobian(backward, np.reshape(y, (3, -1))).astype("float64"))[1]
    assert logdet.shape == (3,)
    assert error(logdet, expected) < LOGDET[dtype]
    assert error(logdet, -returned) < LOGDET[dtype]


@over_layers
def test_logdet_alone_is_that_of_call(name: str) -> None:
    """compute_jacobian_determinant says what call says."""
    layer, x = shared(name, PRECISE, seed=1), rows(name, 3, PRECISE)
    if not isinstance(layer, FlowModel):
        assert error(layer.compute_jacobian_determinant(ops.convert_to_tensor(x)), layer(x)[1]) < AGREEMENT[PRECISE]


@over_layers
@over_dtypes
def test_dtype_is_the_policys(name: str, dtype: str) -> None:
    """Outputs, logdet and inverse come in the layer's dtype, whichever floats go in."""
    layer = shared(name, dtype)
    for floats in ("float32", PRECISE):
        x = rows(name, 2, floats)
        y, logdet = layer(x)
        for result in (y, logdet, layer.invert(y)):
            assert keras.backend.standardize_dtype(result.dtype) == dtype


@over_layers
def test_arrays_and_tensors_are_the_same_to_call_and_invert(name: str) -> None:
    """NumPy arrays and tensors give the same numbers."""
    model, x = shared_model(name, "float32"), rows(name, 2, "float32")
    y, inverse = model(x)[0], model.invert(codes(name, 2, "float32"))
    assert error(model(ops.convert_to_tensor(x))[0], y) == 0
    assert error(model.invert(ops.convert_to_tensor(codes(name, 2, "float32"))), inverse) == 0


@over_layers
def test_symbolic_inputs_make_a_functional_model(name: str) -> None:
    """On symbolic inputs a layer gives symbolic outputs of the right shapes and dtype; the model computes as it does."""
    layer, case = built(name, PRECISE, seed=1), CASES[name]
    inputs = keras.Input(case.shape, dtype=PRECISE)
    outputs = layer(inputs)
    assert outputs[0].shape == (None, *case.code_shape)
    assert outputs[1].shape == (None,)
    assert {output.dtype for output in outputs} == {PRECISE}
    x = rows(name, 3, PRECISE)
    for found, expected in zip(keras.Model(inputs, outputs)(x), layer(x), strict=True):
        assert error(found, expected) < 1e-5


@over_layers
def test_each_row_is_mapped_by_itself(name: str) -> None:
    """A row gives the same in a batch of any size, and infinities or NaN in one row leave the others alone."""
    layer, x, c = shared(name, PRECISE, seed=1), rows(name, 5, PRECISE), codes(name, 5, PRECISE)
    y, logdet = (ops.convert_to_numpy(part) for part in layer(x))
    z = ops.convert_to_numpy(layer.invert(c))
    assert error(layer(x[1:2])[0], y[1:2]) < AGREEMENT[PRECISE]
    for poison in (np.inf, -np.inf, np.nan):
        bad, bad_code = x.copy(), c.copy()
        bad[2].reshape(-1)[-1] = bad_code[2].reshape(-1)[-1] = poison
        others = [0, 1, 3, 4]
        found, found_logdet = (ops.convert_to_numpy(part) for part in layer(bad))
        assert error(found[others], y[others]) < AGREEMENT[PRECISE]
        assert error(found_logdet[others], logdet[others]) < AGREEMENT[PRECISE]
        assert error(ops.convert_to_numpy(layer.invert(bad_code))[others], z[others]) < AGREEMENT[PRECISE]


@over_layers
def test_saved_and_loaded_is_the_same_function(name: str, tmp_path: Path) -> None:
    """A .keras file, a weights file, and a clone with the same weights all give the same function."""
    model, x = built_model(name, PRECISE), rows(name, 3, PRECISE)
    expected = model(x)
    model.save(tmp_path / "flow.keras")
    model.save_weights(tmp_path / "flow.weights.h5")
    loaded = keras.saving.load_model(tmp_path / "flow.keras")
    models: Any = keras.models
    clone, from_json = models.clone_model(model), models.model_from_json(model.to_json())
    clone.set_weights(model.get_weights())
    from_json.build((None, *CASES[name].shape))
    from_json.load_weights(tmp_path / "flow.weights.h5")
    for other in (loaded, clone, from_json):
        assert type(other) is type(model)
        for found, wanted in zip(other(x), expected, strict=True):
            assert error(found, wanted) == 0


@over_layers
def test_config_is_not_changed_by_reading_it(name: str) -> None:
    """from_config leaves its dict alone, and what it makes has that config."""
    layer = shared(name, "float32")
    config, copy = layer.get_config(), layer.get_config()
    again = type(layer).from_config(config)
    assert config == copy
    assert plain(again.get_config()) == plain(config)


def plain(value: Any) -> Any:
    """A config without the ids of shared objects and without what building added."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items() if k not in {"shared_object_id", "build_config"}}
    return [plain(item) for item in value] if isinstance(value, list) else value


@over_layers
@over_dtypes
def test_the_lowered_plan_is_the_layers(name: str, dtype: str) -> None:
    """The compiled flow gives the codes, logdets and inverses of the layers, for batches of 1, 2 and 7."""
    model = shared_model(name, dtype)
    compiled, layered = compile_flow(model), LayeredFlow(model)
    for count in (1, 2, 7):
        x, y = rows(name, count, dtype), codes(name, count, dtype)
        found, logdet = compiled.encode(x)
        expected, expected_logdet = layered.encode(x)
        assert found.dtype == logdet.dtype == np.dtype(dtype)
        assert error(found, expected) < AGREEMENT[dtype]
        assert error(logdet, expected_logdet) < AGREEMENT[dtype]
        assert error(compiled.invert(y), layered.invert(y)) < AGREEMENT[dtype]


@over_layers
def test_sixteen_threads_may_share_a_layer(name: str) -> None:
    """Threads that mix call, invert and the compiled flow, all at once, get what one thread gets."""
    model = shared_model(name, PRECISE)
    compiled, start = compile_flow(model), Barrier(16)

    def work(count: int) -> tuple[Any, ...]:
        x, y = rows(name, count, PRECISE), codes(name, count, PRECISE)
        return (*model(x), model.invert(y), *compiled.encode(x), compiled.invert(y))

    def work_with_the_others(count: int) -> tuple[Any, ...]:
        start.wait()
        return work(count)

    counts = [1 + number % 3 for number in range(16)]
    expected = {count: work(count) for count in set(counts)}
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(work_with_the_others, counts))
    for count, answers in zip(counts, found, strict=True):
        for answer, right in zip(answers, expected[count], strict=True):
            assert error(answer, right) < AGREEMENT[PRECISE]


@over_layers
def test_wrong_shapes_are_refused_by_name(name: str) -> None:
    """Inputs of another size along the axes are refused with what must hold and what was received."""
    case = CASES[name]
    layer = case.make("float32")
    wrong = [size + 1 for size in case.shape]
    with pytest.raises(ValueError, match=r"must have the shape .* Received: shape="):
        layer.build((None, *wrong))
    if CASES[name].kind is not KINDS["own layer"]:
        good = shared(name, "float32")
        with pytest.raises(ValueError, match=r"must have the shape .* Received: shape="):
            good.invert(np.zeros([2, *[size + 1 for size in case.code_shape]], "float32"))


@st.composite
def layouts(draw: st.DrawFn, kind: Kind) -> Layout:
    """Any layout in which a kind of layer may act: one to three axes beside the batch, some of which are the layer's."""
    rank = draw(st.integers(1 + kind.channels, 3))
    possible = list(range(1, rank + 1 - kind.channels))
    axes = sorted(draw(st.sets(st.sampled_from(possible), min_size=1)))
    if kind.adjacent:
        axes = list(range(axes[0], axes[-1] + 1))
    sizes = [draw(st.integers(1, 3)) * (kind.multiple if axis in axes else 1) for axis in range(1, rank + 1)]
    return Layout(tuple(sizes), tuple(axes))


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind.anywhere])
@given(data=st.data(), count=st.integers(1, 3), seed=st.integers(0, 99))
@settings(max_examples=5 if ON_TENSORFLOW else 2)  # JAX compiles for each shape.
def test_any_shape_and_axes_will_do(name: str, data: st.DataObject, count: int, seed: int) -> None:
    """Wherever a layer acts, it is undone by its inverse, knows its volume, and is what its plan says."""
    case = Case(KINDS[name], data.draw(layouts(KINDS[name])))
    layer = made(case, PRECISE, seed)
    x = np.random.default_rng(seed).standard_normal((count, *case.shape))
    y, logdet = layer(x)
    assert error(layer.invert(y), x) < ROUND_TRIP[PRECISE]
    model = as_model(layer)
    model.build((None, *case.shape))
    compiled, layered = compile_flow(model), LayeredFlow(model)
    assert error(layered.autodiff_logdet(x), logdet) < LOGDET[PRECISE]
    assert error(compiled.encode(x)[0], y) < AGREEMENT[PRECISE]
    assert error(compiled.encode(x)[1], logdet) < AGREEMENT[PRECISE]
    assert error(compiled.invert(y), x) < ROUND_TRIP[PRECISE]


def test_the_table_holds_every_layer() -> None:
    """No public layer escapes the laws, but the base classes, which their subclasses stand for."""
    public = {getattr(flow_layers, name) for name in flow_layers.__all__}
    tried = {type(case.make("float32")) for case in CASES.values()}
    assert public - tried == {Coupling, DisentanglingFlowModel, FlowLayer}


def test_gradient_refuses_a_backend_that_it_does_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    """Automatic differentiation names the backends that it knows."""
    monkeypatch.setattr(keras.backend, "backend", lambda: "numpy")
    with pytest.raises(NotImplementedError, match=r"tensorflow.*Received: backend=numpy"):
        gradient(ops.sum, np.zeros(2))
