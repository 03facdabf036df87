"""Activations are those of Keras."""

import keras
import numpy as np
import pytest

from gyoza.inference.activations import ACTIVATIONS
from gyoza.inference.plan import Floats

GRID = np.concatenate([np.linspace(-20, 20, 401), [-1e4, -100.0, 100.0, 1e4]])


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-6), (np.float64, 1e-13)])
def test_an_activation_is_that_of_keras(name: str, dtype: type, tolerance: float) -> None:
    """The same numbers, in the same dtype, at either end of the line too."""
    x: Floats = GRID.astype(dtype)
    with np.errstate(over="ignore"):
        found = ACTIVATIONS[name](x.copy())
    expected = keras.ops.convert_to_numpy(getattr(keras.activations, name)(keras.ops.convert_to_tensor(x)))
    assert found.dtype == dtype
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)
