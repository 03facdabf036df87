"""Rendering is what the model's card says that it is."""

import numpy as np
import pytest
import scipy.ndimage
from sklearn.datasets import load_digits

from models.digits.data import Digits, Settings, draw_repeated, load_split, render, rotate


@pytest.fixture(scope="module")
def held_out() -> Digits:
    """The held-out digits."""
    return load_split()[1]


def test_rotation_is_scipys(held_out: Digits) -> None:
    """Rotating many images at once gives what scipy.ndimage.rotate gives for each, 0° included."""
    angles = np.array([0.0, 40.0, -40.0, 1e-9, *np.random.default_rng(0).uniform(-40, 40, 96)])
    expected = [
        scipy.ndimage.rotate(image, angle, reshape=False, order=1)
        for image, angle in zip(held_out.images.astype(np.float64), angles, strict=False)
    ]
    np.testing.assert_allclose(rotate(held_out.images[: len(angles)].astype(np.float64), angles), expected, atol=1e-6)


def test_offsets_of_zero_change_nothing(held_out: Digits) -> None:
    """An image that is not deformed is the plain rotation."""
    angles = np.linspace(-40, 40, 10)
    offsets = np.zeros((10, 2, 8, 8))
    np.testing.assert_array_equal(rotate(held_out.images[:10], angles, offsets), rotate(held_out.images[:10], angles))


def test_an_offset_of_one_pixel_reads_the_next_pixel(held_out: Digits) -> None:
    """Offsets say where a pixel is read, row first; beyond the edge the edge is read."""
    offsets = np.zeros((1, 2, 8, 8))
    offsets[:, 0] = 1
    moved = rotate(held_out.images[:1], np.zeros(1), offsets)
    np.testing.assert_allclose(moved[0, :-1], held_out.images[0, 1:])
    np.testing.assert_allclose(moved[0, -1], held_out.images[0, -1])


def test_color_multiplies(held_out: Digits) -> None:
    """Each channel is the rotated grey digit times its part of the colour, in C order of rows, columns, channels."""
    settings = Settings(np.array([3]), np.array([[0.5, 1.0, 0.0]]), np.array([25.0]))
    image = render(held_out, settings).reshape(8, 8, 3)
    grey = rotate(held_out.images[3:4], np.array([25.0]))[0]
    for channel, part in enumerate((0.5, 1.0, 0.0)):
        np.testing.assert_allclose(image[..., channel], grey * part, rtol=1e-6)


@pytest.mark.parametrize("validate", [False, True])
def test_the_split_never_overlaps(validate: bool) -> None:
    """Digits to measure on are none of those to learn from, and validation leaves the held-out 500 alone."""
    everything = load_digits().images / 16
    training, measured = load_split(validate=validate)
    start = len(training)
    assert (start, len(measured)) == ((1000, 297) if validate else (1297, 500))
    np.testing.assert_allclose(training.images, everything[:start])
    np.testing.assert_allclose(measured.images, everything[start : start + len(measured)])


def test_draws_are_within_their_ranges(held_out: Digits) -> None:
    """Every digit is shown equally often, colours lie in 0..1, angles in ±40°, and a seed gives the same again."""
    settings = draw_repeated(held_out, 4, seed=7)
    np.testing.assert_array_equal(np.bincount(settings.index), np.full(500, 4))
    for values, low, high in ((settings.color, 0, 1), (settings.angle, -40, 40)):
        assert low <= values.min() < low + 0.01 * (high - low)
        assert high >= values.max() > high - 0.01 * (high - low)
    np.testing.assert_array_equal(settings.angle, draw_repeated(held_out, 4, seed=7).angle)
