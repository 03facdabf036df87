"""Golden vectors are what a flow's own layers make of rows."""

from pathlib import Path

import keras
import numpy as np
import pytest

from app.manifest import read_golden
from gyoza.packaging.golden import GOLDEN_ROWS, golden_of, write_golden
from gyoza.packaging.manifest import digests_of
from tests.loading.flows import flow_model


def test_they_are_the_layers_numbers(tmp_path: Path) -> None:
    """Codes and logdets are those of the Keras model, in its dtype, and the file is read as what was recorded."""
    model, latents = flow_model(), np.random.default_rng(0).standard_normal((5, 4))
    golden = golden_of(model, latents)
    codes, logdet = model(latents)
    np.testing.assert_array_equal(golden.latents, latents.astype(np.float32))
    np.testing.assert_allclose(golden.codes, codes, rtol=1e-6)
    np.testing.assert_allclose(golden.logdet, logdet, rtol=1e-6)
    write_golden(tmp_path / "golden.safetensors", golden)
    found = read_golden(tmp_path / "golden.safetensors", digests_of([tmp_path / "golden.safetensors"]))
    assert found is not None
    np.testing.assert_array_equal(found.codes, golden.codes)


def test_without_rows_they_are_likely_ones() -> None:
    """Rows that are drawn have codes as N(0, I) has, and are the same each time."""
    model = flow_model()
    first, second = (golden_of(model) for _ in range(2))
    assert first.latents.shape == (GOLDEN_ROWS, 4)
    assert np.abs(first.codes).max() < 5
    np.testing.assert_array_equal(first.latents, second.latents)


@pytest.mark.parametrize(
    ("latents", "message"),
    [
        (np.zeros((3, 5)), r"of the shape \[n, 4\], n at least 1. Received: \[3, 5\]"),
        (np.zeros((0, 4)), r"Received: \[0, 4\]"),
        (np.zeros(4), r"Received: \[4\]"),
        (np.float32(0), r"Received: \[\]"),
        (np.array([[0, 0, 0, 0], [0, 0, 0, np.inf]]), "Golden rows must be finite in float32.* Received: row 1"),
        (np.array([[3e38, 3e38, 3e38, 3e38]]), "Their codes must be finite in float32"),
    ],
)
def test_rows_that_no_flow_can_meet(latents: np.ndarray, message: str) -> None:
    """Rows of other shapes, and such as are not finite or come out so, are refused."""
    keras.utils.set_random_seed(0)
    with pytest.raises(ValueError, match=message):
        golden_of(flow_model(), latents)
