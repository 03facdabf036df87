"""Scores give known answers, and those of scikit-learn and SciPy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import entropy
from sklearn.metrics import r2_score

from gyoza.metrics import accuracy, chance_corrected, r_squared
from gyoza.metrics.scores import concentration


def test_accuracy_and_chance() -> None:
    """Accuracy counts; corrected for chance it is 0 for the commonest class, 1 for no mistake, never below 0."""
    classes = np.array([0, 0, 0, 1])
    assert accuracy(classes, np.zeros(4, int)) == 0.75
    assert [chance_corrected(value, classes) for value in (0.75, 1.0, 0.875, 0.2)] == [0, 1, 0.5, 0]


def test_chance_is_everything_where_there_is_one_class() -> None:
    """Nobody can do better than always reading the only class."""
    assert chance_corrected(1.0, ["red", "red"]) == 0


def test_r_squared() -> None:
    """R² is 1 for the truth, 0 for its mean, the mean over columns, and negative for what is worse."""
    values = np.array([[0.0, 1.0], [1.0, 3.0], [2.0, 5.0]])
    average = np.tile(values.mean(axis=0), (3, 1))
    half = np.stack([values[:, 0], average[:, 1]], axis=1)
    assert [r_squared(values, reading) for reading in (values, average, half)] == [1, 0, 0.5]
    assert r_squared(values, -values) < -5


@given(arrays(np.int8, (2, 5, 3)))
def test_r_squared_is_scikit_learns(values: np.ndarray) -> None:
    """Whatever is read, columns that do not vary included, the number is that of scikit-learn."""
    truth, reading = values.astype(float)
    assert r_squared(truth, reading) == pytest.approx(r2_score(truth, reading), abs=1e-9)
    assert r_squared(truth[:, 0], reading[:, 0]) == pytest.approx(r2_score(truth[:, 0], reading[:, 0]), abs=1e-9)


@given(arrays(np.float64, (4, 5), elements=st.just(0.0) | st.floats(1e-6, 1e3)), st.floats(0.1, 10))
def test_concentration_is_one_minus_relative_entropy(weights: np.ndarray, factor: float) -> None:
    """It is what SciPy's entropy says, does not depend on the scale, and is 0 where there is no weight."""
    found = concentration(weights)
    for row, value in zip(weights, found, strict=True):
        expected = 1 - entropy(row / row.max(), base=5) if row.any() else 0
        assert value == pytest.approx(expected, abs=1e-6)
    np.testing.assert_allclose(concentration(weights * factor), found, atol=1e-6)


def test_one_entry_has_all_the_weight_that_there_is() -> None:
    """With K = 1 concentration is 1 if there is weight at all."""
    np.testing.assert_array_equal(concentration([[2.0], [0.0]]), [1, 0])


@pytest.mark.parametrize("score", [accuracy, r_squared])
def test_readings_of_another_shape_are_refused(score: object) -> None:
    """Nothing is broadcast: [n] and [n, 1] are not the same."""
    with pytest.raises(ValueError, match=r"same shape. Received: truth.shape=\(3,\), reading.shape=\(3, 1\)"):
        score(np.zeros(3), np.zeros((3, 1)))  # type: ignore[operator]
