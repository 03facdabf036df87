"""Which networks inside couplings become dense ones in a plan."""

from functools import partialmethod
from typing import Any

import keras
import numpy as np
import pytest

from gyoza.inference import compile_flow, plan
from gyoza.modelling.flow_layers import AdditiveCoupling, FlowModel
from gyoza.modelling.masks import CheckerBoardMask, Mask
from gyoza.modelling.reference import LayeredFlow
from tests.modelling.layers import CASES, built

Dense = keras.layers.Dense
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
