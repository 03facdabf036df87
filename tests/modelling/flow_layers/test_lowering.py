"""Which networks inside couplings become dense ones in a plan."""

import logging
from concurrent.futures import ThreadPoolExecutor
from functools import partialmethod
from pathlib import Path
from threading import Barrier
from typing import Any

import keras
import numpy as np
import pytest

from gyoza.inference import compile_flow, load_plan, plan
from gyoza.modelling.flow_layers import (
    ActivationNormalization,
    AdditiveCoupling,
    FlowLayer,
    FlowModel,
    HeavisidePermutation,
    Reflection,
)
from gyoza.modelling.masks import CheckerBoardMask, Mask
from gyoza.modelling.reference import LayeredFlow
from tests.modelling.layers import CASES, built

Dense = keras.layers.Dense
AT: dict[str, Any] = {"shape": [4], "axes": [1]}
ON_TENSORFLOW = keras.backend.backend() == "tensorflow"
X = np.random.default_rng(0).standard_normal((5, 4)).astype("float32")


class Doubled(keras.layers.Dense):
    """A subclass may do anything."""

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Double what the dense layer gives."""
        return 2 * super().call(inputs)


def functional(*layers: Any) -> keras.Model:
    """Make a functional chain."""
    x = y = keras.layers.Input((4,))
    for layer in layers:
        y = layer(y)
    return keras.Model(x, y)


def branched() -> keras.Model:
    """Make a functional network that is no chain."""
    x = keras.layers.Input((4,))
    return keras.Model(x, keras.layers.Add()([Dense(4)(x), Dense(4)(x)]))


def shared() -> keras.Model:
    """Make a functional network that uses one layer twice."""
    layer = Dense(4)
    return functional(layer, layer)


def rounding() -> keras.Sequential:
    """Make a network whose input is rounded to half precision."""
    return keras.Sequential([keras.layers.Input((4,), dtype="float16"), Dense(4)])


def told() -> keras.Model:
    """Make a functional network whose dropout drops at all times."""
    x = keras.layers.Input((4,))
    return keras.Model(x, Dense(4)(keras.layers.Dropout(1e-9)(x, training=True)))


def patched(network: Any) -> Any:
    """Give one object a call of its own."""
    own = network.call
    network.call = lambda inputs, **kwargs: 2 * own(inputs, **kwargs)
    return network


CHAINS = {
    "a dense layer": lambda: Dense(4),
    "a sequential": lambda: keras.Sequential([Dense(7, "relu"), Dense(4)]),
    "an activation layer": lambda: keras.Sequential([Dense(7), keras.layers.Activation("silu"), Dense(4)]),
    "dropout, noise and no bias": lambda: keras.Sequential(
        [keras.layers.Dropout(0.5), Dense(7, "elu", use_bias=False), keras.layers.GaussianNoise(1.0), Dense(4)]
    ),
    "a sequential in a sequential": lambda: keras.Sequential([keras.Sequential([Dense(7, "tanh")]), Dense(4)]),
    "a functional chain": lambda: functional(Dense(7, "softplus"), keras.layers.Dropout(0.5), Dense(4, "sigmoid")),
    "a functional chain with an activation": lambda: functional(Dense(7), keras.layers.Activation("elu"), Dense(4)),
}
OTHERS = {
    "two activations": lambda: keras.Sequential([Dense(4, "tanh"), keras.layers.Activation("tanh")]),
    "an activation first": lambda: keras.Sequential([keras.layers.Activation("tanh"), Dense(4)]),
    "an unknown activation": lambda: keras.Sequential([Dense(7, "gelu"), Dense(4)]),
    "an own function": lambda: keras.Sequential([Dense(7, lambda x: x * x), Dense(4)]),
    "a subclass": lambda: keras.Sequential([Doubled(4)]),
    "a normalization": lambda: keras.Sequential([keras.layers.LayerNormalization(), Dense(4)]),
    "a nested one with a normalization": lambda: keras.Sequential(
        [keras.Sequential([keras.layers.LayerNormalization()]), Dense(4)]
    ),
    "branches": branched,
    "a call with training": told,
    "a dense layer with a call of its own": lambda: patched(Dense(4)),
    "a sequential with a call of its own": lambda: patched(keras.Sequential([Dense(4)])),
    "a functional with a call of its own": lambda: patched(functional(Dense(4))),
    "one with a call of its own inside": lambda: keras.Sequential([patched(Dense(4))]),
    "a shared layer": shared,
    "a model in a functional model": lambda: functional(keras.Sequential([Dense(4)]), Dense(4)),
    "another dtype inside": lambda: keras.Sequential([Dense(7, dtype="float64"), Dense(4)]),
    "another dtype at the entrance": rounding,
    "one column for all": lambda: keras.Sequential([Dense(1)]),
    "no dense layer": lambda: keras.Sequential([keras.layers.Dropout(0.5)]),
}


def flow_with(network: Any) -> FlowModel:
    """Make and build a flow of one additive coupling around a network."""
    mask = CheckerBoardMask(axes=[1], shape=[4])
    model = FlowModel([AdditiveCoupling(shape=[4], axes=[1], compute_coupling_parameters=network, mask=mask)])
    model.build((None, 4))
    return model


@pytest.mark.parametrize(
    ("name", "kind"), [(n, plan.DenseNetwork) for n in CHAINS] + [(n, plan.OpaqueNetwork) for n in OTHERS]
)
def test_networks_are_lowered_to_what_they_are(name: str, kind: type) -> None:
    """Chains of dense layers become dense networks, all else stays a function; either gives the layers' numbers."""
    networks: dict[str, Any] = {**CHAINS, **OTHERS}
    model = flow_with(networks[name]())
    (step,) = model.lower().steps
    assert isinstance(step, plan.Coupling)
    assert isinstance(step.network, kind)
    compiled, layered = compile_flow(model), LayeredFlow(model)
    np.testing.assert_allclose(compiled.encode(X)[0], layered.encode(X)[0], rtol=0, atol=2e-6)
    np.testing.assert_allclose(compiled.invert(X), layered.invert(X), rtol=0, atol=2e-6)


def test_kernels_are_sliced() -> None:
    """A dense network in a plan reads only kept entries and computes only parameters of changed ones."""
    (step,) = flow_with(keras.Sequential([Dense(7, "relu"), Dense(4)])).lower().steps
    assert isinstance(step, plan.Coupling)
    assert isinstance(step.network, plan.DenseNetwork)
    assert [layer.kernel.shape for layer in step.network.layers] == [(2, 7), (7, 2)]
    assert [layer.activation for layer in step.network.layers] == ["relu", "linear"]
    assert (np.asarray(step.kept).tolist(), np.asarray(step.changed).tolist()) == ([1, 3], [0, 2])


@pytest.mark.parametrize("name", ["own layer", "own coupling", "own law"])
def test_what_a_reader_writes_is_called(name: str) -> None:
    """Subclasses that change or bring their own law lower to a call of themselves."""
    (step,) = built(name, "float32").lower(CASES[name].shape)
    assert isinstance(step, plan.Opaque)


@pytest.mark.parametrize("name", ["actnorm", "permutation", "reflection", "additive", "affine"])
@pytest.mark.parametrize("method", ["call", "invert"])
def test_a_subclass_that_overrides_a_direction_is_called(name: str, method: str) -> None:
    """An exact step is never inherited by a layer that computes otherwise."""
    layer = built(name, "float32")
    own = type(layer)
    overriding = partialmethod(getattr(own, method))
    changed = type("Changed", (own,), {method: overriding})
    layer.__class__ = changed
    (step,) = layer.lower(CASES[name].shape)
    assert isinstance(step, plan.Opaque)


def test_a_mask_that_masks_otherwise_is_called() -> None:
    """A coupling whose mask overrides call lowers to a call of the layer."""

    class Lenient(Mask):
        def call(self, inputs: Any, is_positive: bool = True) -> Any:
            return super().call(inputs, is_positive=is_positive)

    mask = Lenient(axes=[1], shape=[4], mask=[0, 1, 0, 1])
    layer = AdditiveCoupling(shape=[4], axes=[1], compute_coupling_parameters=Dense(4), mask=mask)
    layer.build((None, 4))
    (step,) = layer.lower((4,))
    assert isinstance(step, plan.Opaque)


@pytest.mark.parametrize("name", ["own layer", "own coupling", "own law"])
def test_what_is_called_is_traced_once(name: str) -> None:
    """Opaque steps are traced when they first run, and never again whatever batch sizes come."""
    if keras.backend.backend() != "tensorflow":
        pytest.skip("other backends call the layers as they are")
    layer = built(name, "float32")
    flow = compile_flow(whole(layer, CASES[name].shape))
    assert flow.traces == 0
    x = np.random.default_rng(1).standard_normal((64, *CASES[name].shape)).astype("float32")
    for size in (1, 2, 64, 7, 64, 1):
        codes, _ = flow.encode(x[:size])
        np.testing.assert_allclose(codes, layer(x[:size])[0], rtol=1e-6, atol=1e-6)
        flow.invert(codes)
    assert flow.traces in {1, 2}


class Shifting(FlowLayer):
    """A layer that reads a plain attribute."""

    by = 1.0

    def call(self, inputs: Any) -> Any:
        """Add it."""
        return inputs + self.by, self.compute_jacobian_determinant(inputs)

    def invert(self, outputs: Any) -> Any:
        """Take it off."""
        return outputs - self.by

    def compute_jacobian_determinant(self, x: Any) -> Any:
        """Return 0."""
        return keras.ops.zeros(keras.ops.shape(x)[0], x.dtype)


@pytest.mark.parametrize("first", ["encode", "invert"])
def test_both_directions_are_traced_together(first: str) -> None:
    """What a layer reads beside its weights is frozen for both directions when either first runs: they never disagree."""
    layer = Shifting(**AT)
    flow = compile_flow(whole(layer, (4,)))
    getattr(flow, first)(X)
    assert flow.traces == (2 if ON_TENSORFLOW else 0)
    layer.by = 5.0
    np.testing.assert_allclose(flow.invert(flow.encode(X)[0]), X, atol=1e-6)
    np.testing.assert_allclose(flow.encode(X)[0], X + (1 if ON_TENSORFLOW else 5), atol=1e-6)


class HalfTraceable(Shifting):
    """A layer of which only one direction can be traced."""

    def invert(self, outputs: Any) -> Any:
        """Look at the values."""
        return keras.ops.convert_to_tensor(keras.ops.convert_to_numpy(outputs) - self.by)


def test_neither_direction_is_traced_where_one_can_t_be(caplog: pytest.LogCaptureFixture) -> None:
    """A direction that can't be traced keeps the other from it, and a warning tells which layer it is and why."""
    layer = HalfTraceable(**AT, name="curious")
    flow = compile_flow(whole(layer, (4,)))
    flow.encode(X)
    layer.by = 5.0
    np.testing.assert_allclose(flow.encode(X)[0], X + 5, atol=1e-6)
    np.testing.assert_allclose(flow.invert(flow.encode(X)[0]), X, atol=1e-6)
    assert flow.traces == 0
    if ON_TENSORFLOW:
        ((logger, level, text),) = caplog.record_tuples
        assert (logger, level) == ("gyoza.modelling", logging.WARNING)
        assert text.startswith("the layer curious (HalfTraceable) can't be traced, so it runs call by call")
        assert "Error: " in text
        assert text.isprintable()


class Exhausting(Shifting):
    """A layer for which there is no memory at first."""

    exhausted = True

    def call(self, inputs: Any) -> Any:
        """Fail, or not."""
        if self.exhausted:
            raise MemoryError
        return super().call(inputs)


def test_running_out_of_memory_is_not_taken_for_what_can_t_be_traced(caplog: pytest.LogCaptureFixture) -> None:
    """The error is the caller's; once there is memory the layer is traced."""
    layer = Exhausting(**AT)
    layer.exhausted = False
    flow = compile_flow(whole(layer, (4,)))
    layer.exhausted = True
    with pytest.raises(MemoryError):
        flow.encode(X)
    layer.exhausted = False
    flow.encode(X)
    assert flow.traces == (2 if ON_TENSORFLOW else 0)
    assert not caplog.records


def test_threads_share_the_first_trace() -> None:
    """16 threads that make the first calls get what one thread gets, from one trace."""
    networks: dict[str, Any] = OTHERS
    model = flow_with(networks["a normalization"]())
    flow, expected, together = compile_flow(model), np.asarray(model(X)[0]), Barrier(16)

    def encode(_: int) -> Any:
        together.wait()
        return [flow.encode(X)[0] for _ in range(3)]

    with ThreadPoolExecutor(16) as pool:
        for codes in pool.map(encode, range(16)):
            np.testing.assert_allclose(codes, [expected] * 3, atol=1e-6)
    assert flow.traces == (1 if ON_TENSORFLOW else 0)


class Keeping(Shifting):
    """A layer that gives an array that it keeps."""

    kept = np.zeros((5, 4), "float32")

    def call(self, inputs: Any) -> Any:
        """Give it."""
        keras.ops.convert_to_numpy(inputs)  # Can't be traced.
        return self.kept, keras.ops.zeros(5)

    def invert(self, outputs: Any) -> Any:
        """Give it."""
        return self.kept


def test_what_a_layer_keeps_is_not_written_over() -> None:
    """Later steps write over rows, but never over an array that a layer gives and keeps."""
    kept = Keeping.kept.copy()
    around = [ActivationNormalization(**AT), ActivationNormalization(**AT)]
    model = FlowModel([around[0], Keeping(**AT), around[1]])
    model.build((None, 4))
    for normalization in around:
        normalization._location_.assign([1.0, 2.0, 3.0, 4.0])
    flow = compile_flow(model)
    np.testing.assert_allclose(flow.encode(X)[0], np.tile([-1.0, -2.0, -3.0, -4.0], (5, 1)))
    flow.invert(X)
    np.testing.assert_array_equal(Keeping.kept, kept)


class Softening(Shifting):
    """A layer whose results tell in which precision it computes."""

    def call(self, inputs: Any) -> Any:
        """Map x to arsinh(x)."""
        return keras.ops.arcsinh(inputs), self.compute_jacobian_determinant(inputs)

    def invert(self, outputs: Any) -> Any:
        """Map y to sinh(y)."""
        return keras.ops.sinh(keras.ops.convert_to_tensor(outputs))


@pytest.mark.parametrize(
    ("policy", "autocast"), [("mixed_float16", True), ("mixed_float16", False), ("float16", False)]
)
def test_a_layer_of_half_precision_casts_its_input_itself(policy: str, autocast: bool) -> None:
    """A plan hands a layer rows in the flow's dtype, as the flow does: what the layer does not round is not rounded."""
    model = FlowModel([Softening(**AT, dtype=policy, autocast=autocast)], dtype="float32")
    model.build((None, 4))
    compiled, layered = compile_flow(model), LayeredFlow(model)
    large = np.array([[3.3, 1e5, -0.1, 2.0]], "float32")
    np.testing.assert_allclose(compiled.encode(large)[0], layered.encode(large)[0], rtol=1e-6)
    np.testing.assert_allclose(compiled.invert(X), layered.invert(X), rtol=1e-6)
    assert np.isfinite(compiled.encode(large)[0]).all() is np.bool_(not autocast)


class Coloured(FlowModel):
    """A model that calls something else its factors."""

    factors = ("red", "green")


@pytest.mark.parametrize("factors", [("red",), {}, {"a.b": 4}, {"codes": 4}, {"a": "4"}, {"a": 0}, {3: 4}, 4])
def test_what_is_no_map_of_factors_is_not_told(factors: Any) -> None:
    """A plan tells of a model's factors only what are names and sizes."""
    model = whole(Shifting(**AT), (4,))
    model.factors = factors
    told = model.lower().origin
    assert told is not None
    assert told.factors is None


def test_a_model_s_own_attribute_keeps_its_plan_from_nothing(tmp_path: Path) -> None:
    """A subclass with other ``factors`` saves a plan that loads."""
    model = Coloured([HeavisidePermutation(**AT)])
    model.build((None, 4))
    compile_flow(model).save(tmp_path / "plan")
    assert load_plan(tmp_path / "plan").plan.origin is not None


def test_a_large_linear_layer_is_called(tmp_path: Path) -> None:
    """Above 1,024 entries a linear layer is no matrix in a plan, and whoever saves it is told the limit."""
    flow = compile_flow(whole(Reflection(shape=[1025], axes=[1], reflection_count=1), (1025,)))
    with pytest.raises(ValueError, match=r"up to 1,024 entries .* Received: one that calls the layer .*\(Reflection\)"):
        flow.save(tmp_path / "plan")


def whole(layer: Any, shape: tuple[int, ...]) -> FlowModel:
    """Make a flow of one layer."""
    model = FlowModel([layer])
    model.build((None, *shape))
    return model


def test_what_can_t_be_traced_runs_as_it_is() -> None:
    """A network that looks at values with NumPy is called without a trace, and new weights are seen."""

    class Looking(keras.layers.Layer):
        def build(self, shape: Any) -> None:
            self.weight = self.add_weight(shape=(), initializer="ones", name="weight")

        def compute_output_spec(self, x: Any) -> Any:
            return x

        def call(self, x: Any) -> Any:
            return keras.ops.convert_to_tensor(np.sort(keras.ops.convert_to_numpy(x), axis=1)) * self.weight

    network = Looking()
    model = flow_with(network)
    flow = compile_flow(model)
    np.testing.assert_allclose(flow.encode(X)[0], model(X)[0], atol=1e-6)
    network.weight.assign(2.0)
    np.testing.assert_allclose(flow.encode(X)[0], model(X)[0], atol=1e-6)
    assert flow.traces == 0
