"""Reflections against the Householder transform."""

from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from gyoza.inference import compile_flow, plan
from gyoza.modelling.flow_layers import FlowModel, Reflection


def layer_with(normals: np.ndarray) -> Reflection:
    """Make a layer with the given normals."""
    layer = Reflection([normals.shape[1]], [1], reflection_count=len(normals), dtype="float64")
    layer._reflection_normals_.assign(normals)
    return layer


NORMALS = 3 * np.random.default_rng(0).standard_normal((4, 5))
X = np.random.default_rng(1).standard_normal((3, 5))


def test_it_reflects_at_each_normal_in_order() -> None:
    """One Householder transform after the other, the first normal first, whatever the normals' lengths."""
    expected = X
    for v in NORMALS:
        expected = expected - 2 * np.outer(expected @ v, v) / (v @ v)
    np.testing.assert_allclose(layer_with(NORMALS)(X)[0], expected, rtol=0, atol=1e-13)


def test_it_is_the_wy_form() -> None:
    """Rows times Q = I − VᵀTV with T = inv(triu(VVᵀ, 1) + ½ diag(VVᵀ))."""
    gram = NORMALS @ NORMALS.T
    t = np.linalg.inv(np.triu(gram, 1) + 0.5 * np.diag(np.diag(gram)))
    q = np.eye(5) - NORMALS.T @ t @ NORMALS
    np.testing.assert_allclose(layer_with(NORMALS)(X)[0], X @ q, rtol=0, atol=1e-13)
    (step,) = layer_with(NORMALS).lower((5,))
    assert isinstance(step, plan.Rotation)
    np.testing.assert_allclose(step.matrix, q, rtol=0, atol=1e-13)


def test_normals_need_not_be_of_unit_length() -> None:
    """With 16 normals of length 0.999 the layer stays orthogonal."""
    normals = np.random.default_rng(2).standard_normal((16, 5))
    layer = layer_with(0.999 * normals / np.linalg.norm(normals, axis=1, keepdims=True))
    y, logdet = layer(X)
    np.testing.assert_allclose(np.linalg.norm(y, axis=1), np.linalg.norm(X, axis=1), rtol=1e-13)
    np.testing.assert_allclose(layer.invert(y), X, rtol=0, atol=1e-13)
    assert not np.any(logdet)


def test_normals_are_of_unit_length_at_first() -> None:
    """[reflection_count, D], drawn by the seed."""
    normals = [
        ops.convert_to_numpy(Reflection([2, 3], [1, 2], reflection_count=4, seed=seed)._reflection_normals_)
        for seed in (0, 0, 1)
    ]
    assert normals[0].shape == (4, 6)
    np.testing.assert_allclose(np.linalg.norm(normals[0], axis=1), 1, rtol=1e-6)
    assert np.array_equal(normals[0], normals[1])
    assert not np.array_equal(normals[0], normals[2])


def test_without_a_seed_keras_global_one_decides() -> None:
    """set_random_seed makes the draw repeatable."""
    keras.utils.set_random_seed(5)
    first = Reflection([4], [1], reflection_count=1).get_weights()[0]
    keras.utils.set_random_seed(5)
    assert np.array_equal(Reflection([4], [1], reflection_count=1).get_weights()[0], first)


def test_inverse_mode_is_honoured_and_never_set() -> None:
    """Set by a user, call and _reflect_ run in reverse order and invert still undoes call; invert changes nothing."""
    layer = layer_with(NORMALS)
    y, _ = layer(X)
    layer.invert(y)
    assert layer._inverse_mode_ is False
    layer._inverse_mode_ = True
    np.testing.assert_allclose(layer(y)[0], X, rtol=0, atol=1e-13)
    np.testing.assert_allclose(layer._reflect_(ops.convert_to_tensor(y)), X, rtol=0, atol=1e-13)
    np.testing.assert_allclose(layer.invert(X), y, rtol=0, atol=1e-13)
    model = FlowModel([layer])
    model.build((None, 5))
    np.testing.assert_allclose(compile_flow(model).encode(y)[0], X, rtol=0, atol=1e-13)


def test_a_large_latent_is_not_made_a_matrix() -> None:
    """Above 1,024 entries a plan calls the layer."""
    layer = Reflection([1025], [1], reflection_count=1)
    layer.build((None, 1025))
    (step,) = layer.lower((1025,))
    assert isinstance(step, plan.Opaque)
    x = np.random.default_rng(0).standard_normal((2, 1025)).astype("float32")
    np.testing.assert_array_equal(step.encode(x)[0], layer(x)[0])


def test_there_is_at_least_one_reflection() -> None:
    """A count below 1 is refused."""
    with pytest.raises(ValueError, match=r"at least 1. Received: reflection_count=0"):
        Reflection([3], [1], reflection_count=0)
    with pytest.raises(TypeError, match=r"integers only. Received: reflection_count=\[1.5\]"):
        Reflection([3], [1], reflection_count=1.5)  # type: ignore[arg-type]


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float16"])
def test_half_precision_reflects_and_returns(policy: str) -> None:
    """In half precision the layer reflects and undoes it, to that precision."""
    layer, x = Reflection([4], [1], reflection_count=3, seed=0, dtype=policy), np.eye(4)
    y, _ = layer(x)
    np.testing.assert_allclose(ops.convert_to_numpy(ops.cast(layer.invert(y), "float32")), x, atol=0.05)


class Stretching(Reflection):
    """A reader's reflection: forward it doubles, with ``_inverse_mode_`` it halves, as the hook is documented."""

    def _reflect_(self, x: Any) -> Any:
        """Stretch what is reflected."""
        return super()._reflect_(x) * (0.5 if self._inverse_mode_ else 2.0)


def test_invert_goes_through_the_hook_of_a_subclass() -> None:
    """A subclass that honours the direction in ``_reflect_`` alone is inverted by it, and nothing is set on the layer."""
    layer, x = Stretching([4], [1], reflection_count=2, seed=0, dtype="float64"), np.eye(4)
    y, _ = layer(x)
    np.testing.assert_allclose(layer.invert(y), x, atol=1e-12)
    assert layer._inverse_mode_ is False
