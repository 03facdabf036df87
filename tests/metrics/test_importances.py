"""DCI is 1 where each dimension serves one factor and each factor one dimension, and what its authors define."""

from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor

from gyoza.metrics import DCI, dci
from tests.metrics.worlds import TEST_BLOCKS, TEST_LABELS, TRAIN_BLOCKS, TRAIN_LABELS

CODES, TRAINING = (np.concatenate(list(blocks.values()), axis=1) for blocks in (TEST_BLOCKS, TRAIN_BLOCKS))
TRAIN_LABELS_300 = {name: values[:300] for name, values in TRAIN_LABELS.items()}
FOUND = dci(TRAINING[:300], TRAIN_LABELS_300, CODES, TEST_LABELS, seed=3)


def by_hand(importance: np.ndarray) -> tuple[float, list[float]]:
    """Disentanglement and completeness, sum by sum."""
    dimensions, factors = importance.shape
    disentanglement = 0.0
    for dimension in range(dimensions):
        row = importance[dimension]
        shares = [value / row.sum() for value in row if value > 0]
        entropy = -sum(share * np.log(share) / np.log(factors) for share in shares)
        disentanglement += row.sum() / importance.sum() * (1 - entropy)
    completeness = []
    for factor in range(factors):
        shares = [value / importance[:, factor].sum() for value in importance[:, factor] if value > 0]
        completeness.append(1 + sum(share * np.log(share) / np.log(dimensions) for share in shares))
    return disentanglement, completeness


def test_a_dimension_for_each_factor_is_perfect() -> None:
    """A code that lists its factors, with noise beside them, scores nearly 1 throughout."""
    rng = np.random.default_rng(0)
    digit, angle, noise = rng.integers(0, 3, 600), rng.uniform(-1, 1, 600), rng.normal(size=600)
    codes, labels = np.column_stack([digit, angle, noise]), {"digit": digit, "angle": angle}
    known, asked = ({name: values[half] for name, values in labels.items()} for half in (slice(400), slice(400, None)))
    found = dci(codes[:400], known, codes[400:], asked)
    assert found.disentanglement > 0.98
    assert min(found.completeness.values()) > 0.98
    assert found.informativeness["digit"] == 1
    assert found.informativeness["angle"] > 0.98


def test_mixed_dimensions_are_not_disentangled() -> None:
    """Two factors turned by 45° into two dimensions: each serves both, and each factor needs both."""
    rng = np.random.default_rng(0)
    labels = rng.uniform(-1, 1, (500, 2))
    codes, named = labels @ np.array([[1, 1], [1, -1]]), {"a": labels[:, 0], "b": labels[:, 1]}
    found = dci(codes, named, codes, named)
    assert found.disentanglement < 0.05
    assert max(found.completeness.values()) < 0.05


def test_blocks_are_disentangled_and_not_complete() -> None:
    """Where a factor fills its block of three dimensions each of them serves it alone, and none is enough."""
    assert FOUND.disentanglement > 0.9
    assert FOUND.completeness["color"] < 0.6
    assert FOUND.completeness["angle"] > 0.9


def test_importances_are_scikit_learns() -> None:
    """They are those of its trees, the mean over the columns of a factor, and so are the scores on other rows."""
    rows = TRAINING[:300]
    digit = GradientBoostingClassifier(random_state=3).fit(rows, TRAIN_LABELS["digit"][:300])
    color = [GradientBoostingRegressor(random_state=3).fit(rows, column) for column in TRAIN_LABELS["color"][:300].T]
    np.testing.assert_allclose(FOUND.importance[:, 0], digit.feature_importances_)
    np.testing.assert_allclose(FOUND.importance[:, 1], np.mean([tree.feature_importances_ for tree in color], axis=0))
    np.testing.assert_allclose(FOUND.importance.sum(axis=0), 1)
    assert FOUND.informativeness["digit"] == digit.score(CODES, TEST_LABELS["digit"])
    expected = np.mean([tree.score(CODES, column) for tree, column in zip(color, TEST_LABELS["color"].T, strict=True)])
    assert FOUND.informativeness["color"] == pytest.approx(expected)


@pytest.mark.parametrize("importance", [FOUND.importance, np.array([[0.5, 0.0], [0.5, 0.25], [0.0, 0.75]])])
def test_scores_are_those_of_the_definition(importance: np.ndarray) -> None:
    """Disentanglement and completeness are what the sums of the paper give."""
    names = tuple(f"f{column}" for column in range(importance.shape[1]))
    found = DCI(names, importance, {})
    disentanglement, completeness = by_hand(importance)
    assert found.disentanglement == pytest.approx(disentanglement)
    assert list(found.completeness.values()) == pytest.approx(completeness)


def test_a_code_that_does_not_vary_has_no_importance() -> None:
    """Nothing tells anything: disentanglement and completeness are 0, not NaN."""
    labels = {"a": np.arange(20.0), "b": np.arange(20) % 2}
    found = dci(np.ones((20, 3)), labels, np.ones((20, 3)), labels)
    assert found.disentanglement == 0
    assert found.completeness == {"a": 0, "b": 0}


def test_the_seed_decides_the_trees() -> None:
    """The same seed gives the same importances."""
    again = dci(TRAINING[:300], TRAIN_LABELS_300, CODES, TEST_LABELS, seed=3)
    np.testing.assert_array_equal(again.importance, FOUND.importance)


@pytest.mark.parametrize(
    ("codes", "labels", "message"),
    [
        (CODES[:, 1:], TEST_LABELS, r"same number of dimensions. Received: train_codes.shape=\(300, 9\)"),
        (CODES[:10], TEST_LABELS, r"test_labels\['digit'\] must have the shape \[10\]"),
        (CODES, {**TEST_LABELS, "digit": TEST_LABELS["angle"]}, r"be of the same form"),
    ],
)
def test_samples_that_do_not_fit_are_refused(codes: Any, labels: Any, message: str) -> None:
    """Both samples have the same dimensions and factors, and a label for each row."""
    with pytest.raises(ValueError, match=message):
        dci(TRAINING[:300], TRAIN_LABELS_300, codes, labels)
