"""Partners against brute force and against the correlation that they are drawn for."""

import sys

import numpy as np
import pytest

from gyoza.data.partners import ClassPartners, Line, NumberPartners, Tree, square_root
from gyoza.data.scores import normal_scores


def test_each_other_row_of_the_class_is_as_likely() -> None:
    """Rows of a class of one are never drawn, a row is never its own partner, and all other pairs come equally often."""
    classes = np.array(["b", "a", "c", "a", "b", "a"])
    one, two = ClassPartners("labels['f']", classes).draw(50_000, np.random.default_rng(0))
    found = np.zeros((6, 6))
    np.add.at(found, (one, two), 1 / 50_000)
    allowed = (classes[:, None] == classes) & ~np.eye(6, dtype=bool)
    # Each of the 5 rows with a partner is an a as often, and then each of its partners.
    expected = allowed / np.maximum(allowed.sum(axis=1, keepdims=True), 1) / 5
    assert (found[~allowed] == 0).all()
    np.testing.assert_allclose(found, expected, atol=5 * np.sqrt(0.2 / 50_000))


def test_many_classes_keep_apart() -> None:
    """Partners share their class where classes are more than a byte counts."""
    classes = np.random.default_rng(0).integers(-400, 400, 5000)
    partners = ClassPartners("labels['f']", classes)
    one, two = partners.draw(5000, np.random.default_rng(1))
    assert (classes[one] == classes[two]).all()
    assert (one != two).all()
    other = np.random.default_rng(2).permutation(one)
    np.testing.assert_array_equal(partners.equal(one, other), classes[one] == classes[other])


def test_classes_of_one_row_each_are_refused() -> None:
    """A label that names the row is no factor."""
    with pytest.raises(ValueError, match=r"labels\['id'\] must have a class with at least two rows.* 4 rows, each of"):
        ClassPartners("labels['id']", np.arange(4))


def nearest_by_force(scores: np.ndarray, targets: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The nearest row to each target that is not the given one, from all distances."""
    distances = np.linalg.norm(scores[None] - targets[:, None], axis=-1)
    distances[np.arange(len(rows)), rows] = np.inf
    return np.asarray(distances.argmin(axis=1))


@pytest.mark.parametrize("count", [2, 3, 50])
def test_the_line_finds_the_nearest_row(count: int) -> None:
    """It is that of brute force, also beyond either end, at the own score, and with a single other row."""
    draw = np.random.default_rng(count)
    scores = draw.permutation(draw.standard_normal(count))
    rows = draw.integers(count, size=400)
    targets = np.concatenate([3 * draw.standard_normal(300), scores[rows[300:]]])[:, None]
    found = Line(scores).nearest(targets, rows)
    np.testing.assert_array_equal(found, nearest_by_force(scores[:, None], targets, rows))


@pytest.mark.parametrize("count", [2, 50])
def test_the_tree_finds_the_nearest_row(count: int) -> None:
    """It is that of brute force, also at the row's own scores."""
    draw = np.random.default_rng(count)
    scores = draw.standard_normal((count, 3))
    rows = draw.integers(count, size=400)
    targets = np.concatenate([2 * draw.standard_normal((300, 3)), scores[rows[300:]]])
    found = Tree(scores).nearest(targets, rows)
    np.testing.assert_array_equal(found, nearest_by_force(scores, targets, rows))


@pytest.mark.parametrize("rho", [0.3, 0.95])
@pytest.mark.parametrize("size", [1, 2])
def test_scores_of_pairs_correlate_as_told(rho: float, size: int) -> None:
    """The empirical correlation of the normal scores is ρ within four standard errors, whatever the labels are like."""
    draw = np.random.default_rng(0)
    mixed = draw.standard_normal((20_000, size)) @ (np.eye(size) + 0.5)
    numbers, count = np.exp(mixed), 100_000
    one, two = NumberPartners(numbers, rho, np.random.default_rng(1)).draw(count, np.random.default_rng(2))
    scores = normal_scores(numbers, np.random.default_rng(1))
    assert (one != two).all()
    # The nearest row of several columns is further off: it may cost a little of the correlation.
    tolerance = 4 * (1 - rho**2) / np.sqrt(count) + 0.002 * (size - 1)
    for a, b in zip(scores[one].T, scores[two].T, strict=True):
        assert np.corrcoef(a, b)[0, 1] == pytest.approx(rho, abs=tolerance)


def test_partners_are_distributed_as_rows_are() -> None:
    """Given a, the partner's score is normal about ρ a with variance 1 − ρ²; over all pairs it is standard normal."""
    numbers = np.random.default_rng(0).gamma(1, size=(20_000, 1))
    scores = normal_scores(numbers, np.random.default_rng(1))[:, 0]
    one, two = NumberPartners(numbers, 0.8, np.random.default_rng(1)).draw(100_000, np.random.default_rng(2))
    assert scores[two].mean() == pytest.approx(0, abs=0.02)
    assert scores[two].std() == pytest.approx(1, abs=0.01)
    for low in (-1.5, 0.0, 1.0):
        near = (scores[one] > low) & (scores[one] < low + 0.1)
        rest = scores[two][near] - 0.8 * scores[one][near]
        assert rest.mean() == pytest.approx(0, abs=4 * 0.6 / np.sqrt(len(rest)))
        assert rest.std() == pytest.approx(0.6, abs=4 * 0.6 / np.sqrt(2 * len(rest)))


def test_equal_columns_stay_equal() -> None:
    """Columns that are one and the same are no obstacle: what is random in them goes together."""
    column = np.random.default_rng(0).permutation(1000.0 * np.arange(5000))
    numbers = np.stack([column, column], axis=1)
    one, two = NumberPartners(numbers, 0.9, np.random.default_rng(1)).draw(50_000, np.random.default_rng(2))
    # Of uniform numbers in a Gaussian copula: 6/π asin(ρ/2).
    assert np.corrcoef(column[one], column[two])[0, 1] == pytest.approx(0.8915, abs=0.01)


def test_tied_labels_stay_as_frequent() -> None:
    """Partners of labels with many ties are of each value as often as rows are."""
    numbers = np.repeat([0.0, 1.0, 5.0], [600, 300, 100])[:, None]
    _, two = NumberPartners(numbers, 0.5, np.random.default_rng(1)).draw(50_000, np.random.default_rng(2))
    shares = np.unique(numbers[two, 0], return_counts=True)[1] / 50_000
    np.testing.assert_allclose(shares, [0.6, 0.3, 0.1], atol=0.01)


def test_numbers_near_by_chance_are_not_shared() -> None:
    """No pair of any rows counts as sharing numbers."""
    partners = NumberPartners(np.arange(4.0)[:, None], 0.5, np.random.default_rng(0))
    assert not partners.equal(np.arange(4), np.arange(4)).any()


def test_a_missing_scipy_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only several numbers a row need scipy, and then the error says which extra brings it."""
    monkeypatch.setitem(sys.modules, "scipy.spatial", None)
    numbers = np.random.default_rng(0).standard_normal((4, 2))
    NumberPartners(numbers[:, :1], 0.5, np.random.default_rng(0))
    with pytest.raises(
        ImportError, match=r"need scipy\. Install the extra metrics of gyoza-serve: pip install '\.\[metrics\]'"
    ):
        NumberPartners(numbers, 0.5, np.random.default_rng(0))


def test_the_root_of_a_matrix_squares_to_it() -> None:
    """Also where the matrix is singular."""
    factor = np.random.default_rng(0).standard_normal((4, 2))
    root = square_root(factor @ factor.T)
    np.testing.assert_allclose(root @ root, factor @ factor.T, atol=1e-12)
