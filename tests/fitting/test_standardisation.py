"""Latents of any scale become latents of scale 1."""

import re

import numpy as np
import pytest

from gyoza.fitting.standardisation import Standardisation, flat_latents


def test_any_scale_becomes_one() -> None:
    """Entries of scales from 1e-5 to 1e8, far from 0, come to mean 0 and deviation 1."""
    scales = np.array([1e-5, 1.0, 1e8])
    latents = np.random.default_rng(0).normal(size=(500, 3)) * scales + 3 * scales
    standard = Standardisation.of(flat_latents(latents), (3,)).apply(flat_latents(latents))
    assert standard.dtype == np.float32
    np.testing.assert_allclose(standard.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(standard.std(axis=0), 1, rtol=1e-5)


def test_images_are_flattened_in_c_order() -> None:
    """The entries of an image keep their order, in float32."""
    images = np.arange(24.0).reshape(2, 2, 3, 2)
    np.testing.assert_array_equal(flat_latents(images), images.reshape(2, 12).astype("float32"))


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((12,), "must vary in every column, by a standard deviation of 2e-06 at least; leave out those that do not"),
        ((12,), "Received: 2 constant, at 3, 7"),
        ((2, 3, 2), "must vary in every entry of [2, 3, 2]"),
        ((2, 3, 2), "Received: 2 constant, at [0, 1, 1], [1, 0, 1]"),
    ],
)
def test_constant_entries_are_named(shape: tuple[int, ...], message: str) -> None:
    """What does not vary is named by its place in a latent."""
    latents = np.random.default_rng(0).normal(size=(50, 12))
    latents[:, [3, 7]] = 0.1
    with pytest.raises(ValueError, match=re.escape(message)):
        Standardisation.of(latents, shape)


def test_not_all_of_many_constant_entries_are_named() -> None:
    """Ten are named of any number."""
    with pytest.raises(ValueError, match=r"50 constant, at 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, …$"):
        Standardisation.of(np.zeros((5, 50)), (50,))


def test_what_float32_does_not_hold_is_refused() -> None:
    """Latents that would overflow are refused with what to do."""
    with pytest.raises(ValueError, match=r"must be finite in float32; divide them. Received: the largest is 1e"):
        flat_latents(np.array([[1e300, 1.0], [0.0, 2.0]]))
