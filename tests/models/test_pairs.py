"""Pairs share what they say that they share."""

import numpy as np
import pytest

from models.digits.data import Digits, load_split
from models.digits.pairs import BEND, CORRELATIONS, PairSource, draw_offsets


@pytest.fixture(scope="module")
def training() -> Digits:
    """The training digits."""
    return load_split()[0]


def test_shared_settings_are_equal(training: Digits) -> None:
    """A shared digit is of the same class, a shared colour or angle the same; what is not shared differs."""
    shared = np.random.default_rng(0).uniform(size=(400, 3)) < 0.5
    one, two = PairSource(training, 1).settings(shared)
    classes = training.classes
    assert (classes[one.index] == classes[two.index])[shared[:, 0]].all()
    np.testing.assert_array_equal((one.color == two.color).all(axis=1), shared[:, 1])
    np.testing.assert_array_equal(one.angle == two.angle, shared[:, 2])


def test_a_shared_digit_is_mostly_another_handwriting(training: Digits) -> None:
    """The partner is drawn from the whole class, so that handwriting is not shared with the digit."""
    one, two = PairSource(training, 2).settings(np.ones((400, 3), bool))
    assert (one.index != two.index).mean() > 0.95


def test_correlations_name_what_is_shared(training: Digits) -> None:
    """Each pair shares at least one factor; its correlation is ρ or 0, and the residual's is always 0."""
    one, two, correlations = PairSource(training, 3).pairs(500)
    assert one.shape == two.shape == (500, 192)
    assert not correlations[:, 0].any()
    allowed = [{0.0, np.float32(rho)} for rho in CORRELATIONS.values()]
    assert all(set(column) == values for column, values in zip(correlations[:, 1:].T.tolist(), allowed, strict=True))


def test_a_seed_gives_the_same_pairs(training: Digits) -> None:
    """Two sources of one seed draw the same, of another seed something else."""
    first, again, other = (PairSource(training, seed).pairs(5)[0] for seed in (4, 4, 5))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_deformations_are_small_and_leave_a_fifth_alone() -> None:
    """80 % of the images are deformed, by a small part of a pixel."""
    offsets = draw_offsets(4000, np.random.default_rng(0))
    untouched = (offsets == 0).all(axis=(1, 2, 3)).mean()
    assert 0.17 < untouched < 0.23
    assert 0.1 < offsets.std() < 0.2
    np.testing.assert_allclose((BEND**2).sum(axis=1), 1)
