"""The layer-by-layer flow that compiled ones are checked against."""

import numpy as np
import pytest

from gyoza.modelling import reference
from gyoza.modelling.flow_layers import FlowModel
from gyoza.modelling.reference import LayeredFlow
from tests.modelling.layers import CASES, built, flow, randomize, rows


def built_flow() -> FlowModel:
    """Make a flow with random weights."""
    model = flow("float64")
    model.build((None, 6))
    randomize(model, 0)
    return model


def test_it_is_the_model() -> None:
    """Codes, logdet and inverse are the model's, as NumPy arrays, with its shapes and dtype."""
    model, x = built_flow(), np.random.default_rng(0).standard_normal((3, 6))
    layered = LayeredFlow(model)
    codes, logdet = layered.encode(x)
    np.testing.assert_array_equal(codes, model(x)[0])
    np.testing.assert_array_equal(logdet, model(x)[1])
    np.testing.assert_array_equal(layered.invert(codes), model.invert(codes))
    assert all(type(array) is np.ndarray for array in (codes, logdet, layered.invert(codes)))
    assert (layered.latent_shape, layered.code_shape, layered.dtype) == ((6,), (6,), np.dtype("float64"))


def test_autodiff_logdet_is_independent_of_what_layers_say(monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes from derivatives: right logdets agree with it, wrong ones would not change it."""
    model, x = built_flow(), np.random.default_rng(0).standard_normal((3, 6))
    found = LayeredFlow(model).autodiff_logdet(x)
    np.testing.assert_allclose(found, model(x)[1], rtol=0, atol=1e-10)
    coupling = model._flow_layers_[2]
    monkeypatch.setattr(coupling, "_compute_logdet_", lambda inputs, parameters: 0 * inputs[:, 0])
    assert np.abs(LayeredFlow(model).encode(x)[1] - found).max() > 1e-3
    np.testing.assert_array_equal(LayeredFlow(model).autodiff_logdet(x), found)


@pytest.mark.parametrize("name", ["flow", "affine of axes apart", "own law", "own coupling"])
def test_large_flows_are_differentiated_layer_by_layer(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Above the largest Jacobian the sum over the layers is the same, couplings from their derivatives."""
    layer, x = built(name, "float64", seed=1), rows(name, 3, "float64")
    model = layer if isinstance(layer, FlowModel) else FlowModel([layer])
    model.build((None, *CASES[name].shape))
    whole = LayeredFlow(model).autodiff_logdet(x)
    monkeypatch.setattr(reference, "LARGEST_JACOBIAN", 1)
    found = LayeredFlow(model).autodiff_logdet(x)
    np.testing.assert_allclose(found, whole, rtol=0, atol=1e-10)


def test_a_model_that_is_not_built_is_refused() -> None:
    """A flow without shapes has no plan to follow."""
    with pytest.raises(ValueError, match="must be built"):
        LayeredFlow(flow("float32"))
