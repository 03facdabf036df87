"""The layer-by-layer flow that compiled ones are checked against."""

from typing import Any

import numpy as np
import pytest
from keras import ops

from gyoza.modelling import backend, reference
from gyoza.modelling.flow_layers import FlowModel, HeavisidePermutation, Permutation, Reflection
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


@pytest.mark.parametrize("name", CASES)
def test_large_flows_are_differentiated_layer_by_layer(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Above the largest Jacobian the sum over the layers is the same, each from what is known of its kind."""
    layer, x = built(name, "float64", seed=1), rows(name, 3, "float64")
    model = layer if isinstance(layer, FlowModel) else FlowModel([layer])
    model.build((None, *CASES[name].shape))
    whole = LayeredFlow(model).autodiff_logdet(x)
    monkeypatch.setattr(reference, "LARGEST_JACOBIAN", 1)
    found = LayeredFlow(model).autodiff_logdet(x)
    np.testing.assert_allclose(found, whole, rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", [name for name in CASES if "flow" not in name])
def test_large_flows_are_not_checked_by_their_own_word(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Above the largest Jacobian too, no layer's wrong logdet changes the one from derivatives."""
    monkeypatch.setattr(reference, "LARGEST_JACOBIAN", 1)
    layer, x = built(name, "float64", seed=1), rows(name, 2, "float64")
    model = FlowModel([layer])
    model.build((None, *CASES[name].shape))
    found = LayeredFlow(model).autodiff_logdet(x)
    for method in ("compute_jacobian_determinant", "_compute_logdet_"):
        monkeypatch.setattr(layer, method, lambda inputs, *_: 7 + 0 * inputs[(slice(None), *[0] * (x.ndim - 1))], False)
    assert ops.convert_to_numpy(model(x)[1]).tolist() == [7, 7]
    np.testing.assert_allclose(LayeredFlow(model).autodiff_logdet(x), found, rtol=0, atol=1e-12)


def test_indices_that_are_no_permutation_have_no_volume(monkeypatch: pytest.MonkeyPatch) -> None:
    """A large permutation that loses an entry is singular, whatever it says."""
    monkeypatch.setattr(reference, "LARGEST_JACOBIAN", 1)
    layer = Permutation([3], [1], [2, 0, 1])
    model = FlowModel([layer])
    model.build((None, 3))
    layer._forward_permutation_.assign([2, 0, 0])
    assert LayeredFlow(model).autodiff_logdet(np.zeros((2, 3))).tolist() == [-np.inf, -np.inf]


@pytest.mark.parametrize("count", [1, 3, 9])
def test_large_reflections_are_measured_within_the_span_of_their_normals(
    monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """Fewer normals than entries, or more: the volume is that of the layer, also of one that does not preserve it."""
    layer = Reflection([2, 2], [1, 3], reflection_count=count, seed=0, dtype="float64")
    model = FlowModel([layer])
    model.build((None, 2, 3, 2))
    x, normals = np.zeros((1, 2, 3, 2)), ops.convert_to_numpy(layer._reflection_normals_)
    monkeypatch.setattr(reference, "LARGEST_JACOBIAN", 1)
    assert LayeredFlow(model).autodiff_logdet(x) == pytest.approx(0, abs=1e-12)
    # Rows are stretched along the first normal, behind the back of the checks of methods.
    stretch, rotate = np.eye(4) + np.outer(normals[0], normals[0]), layer._rotate
    monkeypatch.setattr(Reflection, "_rotate", lambda self, x, reverse: ops.matmul(rotate(x, reverse), stretch))
    assert LayeredFlow(model).autodiff_logdet(x) == pytest.approx(3 * np.log(2), abs=1e-10)


def test_a_subclass_with_its_own_call_is_differentiated_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also in large flows, and inside of others, a flow that does more than to run its layers is known by what it does."""

    class Tripling(FlowModel):
        def call(self, inputs: Any, training: bool | None = None) -> tuple[Any, Any]:
            codes, logdet = super().call(inputs, training=training)
            return 3 * codes, logdet

        def invert(self, outputs: Any) -> Any:
            return super().invert(outputs / 3)

    monkeypatch.setattr(reference, "LARGEST_JACOBIAN", 1)
    for inner in (Tripling(), FlowModel([Tripling()])):
        model = FlowModel([HeavisidePermutation([2], [1], dtype="float64"), inner], dtype="float64")
        model.build((None, 2))
        np.testing.assert_allclose(LayeredFlow(model).autodiff_logdet(np.zeros((1, 2))), 2 * np.log(3), atol=1e-12)


def test_a_layer_that_is_too_large_is_taken_at_its_word(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit that the docstring states."""
    monkeypatch.setattr(reference, "LARGEST_JACOBIAN", 1)
    monkeypatch.setattr(reference, "LARGEST_OWN_JACOBIAN", 2)
    layer, x = built("own layer", "float64"), rows("own layer", 2, "float64")
    model = FlowModel([layer])
    model.build((None, *CASES["own layer"].shape))
    monkeypatch.setattr(layer, "compute_jacobian_determinant", lambda x: 7 + 0 * x[:, 0])
    assert LayeredFlow(model).autodiff_logdet(x).tolist() == [7, 7]


def test_a_large_jacobian_is_made_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many outputs a backward pass takes at once, the Jacobian is the same."""
    model, x = built_flow(), np.random.default_rng(0).standard_normal((2, 6))
    whole = backend.jacobian(lambda rows: model(rows)[0], x)
    monkeypatch.setattr(backend, "OUTPUTS_AT_ONCE", 4)
    np.testing.assert_allclose(backend.jacobian(lambda rows: model(rows)[0], x), whole, atol=1e-14)


def test_a_model_that_is_not_built_is_refused() -> None:
    """A flow without shapes has no plan to follow."""
    with pytest.raises(ValueError, match="must be built"):
        LayeredFlow(flow("float32"))
