"""MIG and SAP are 1 or nearly so where one dimension tells a factor, 0 where two do, and what their authors define."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import mutual_info_score
from sklearn.svm import LinearSVC

from gyoza.metrics import mig, sap
from tests.metrics.worlds import TEST_BLOCKS, TEST_LABELS, TRAIN_BLOCKS, TRAIN_LABELS

RNG = np.random.default_rng(0)
DIGIT = np.tile(np.arange(4), 250)
ANGLE = RNG.uniform(-1, 1, 1000)
NOISE = RNG.normal(size=(1000, 2))
CODES, TRAINING = (np.concatenate(list(blocks.values()), axis=1) for blocks in (TEST_BLOCKS, TRAIN_BLOCKS))


def test_mig_is_one_where_one_dimension_tells_all() -> None:
    """A code with a dimension for each factor and noise has a gap of nearly 1 for each."""
    found = mig(np.column_stack([NOISE, DIGIT, ANGLE]), {"digit": DIGIT, "angle": ANGLE})
    assert found.factors["digit"] > 0.95
    assert found.factors["angle"] > 0.9
    assert found.mean == pytest.approx(np.mean(list(found.factors.values())))
    assert found.matrix[0, 2] == pytest.approx(1)
    assert found.matrix[1, 3] == pytest.approx(1)


@pytest.mark.parametrize("metric", ["mig", "sap"])
def test_a_copy_closes_the_gap(metric: str) -> None:
    """Where two dimensions tell the same, neither is ahead."""
    codes, labels = np.column_stack([NOISE, ANGLE, -2 * ANGLE]), {"angle": ANGLE}
    found = mig(codes, labels) if metric == "mig" else sap(codes, labels, codes, labels)
    assert found.matrix.max() == pytest.approx(1)
    assert found.mean == pytest.approx(0, abs=1e-9)


def test_noise_has_no_gap() -> None:
    """Where no dimension tells anything, none is ahead."""
    codes = np.random.default_rng(1).normal(size=(1000, 5))
    labels = {"digit": DIGIT, "angle": ANGLE}
    assert mig(codes, labels).mean < 0.02
    assert sap(codes, labels, codes, labels).mean < 0.05


def test_information_is_scikit_learns_over_the_entropy() -> None:
    """Each entry is its mutual_info_score of the binned dimension and the label, over that of the label with itself."""
    found = mig(CODES, TEST_LABELS, bins=20)
    binned = [np.digitize(column, np.histogram(column, 20)[1][:-1]) for column in CODES.T]
    angle = np.digitize(TEST_LABELS["angle"], np.histogram(TEST_LABELS["angle"], 20)[1][:-1])
    for row, truth in ((0, TEST_LABELS["digit"]), (4, angle)):
        entropy = mutual_info_score(truth, truth)
        expected = [mutual_info_score(truth, column) / entropy for column in binned]
        np.testing.assert_allclose(found.matrix[row], expected, atol=1e-12)
        first, second = sorted(expected)[:-3:-1]
        assert list(found.factors.values())[{0: 0, 4: 2}[row]] == pytest.approx(first - second)


def test_a_factor_of_several_columns_is_their_mean() -> None:
    """Each column has its row; the factor's gap is the mean of theirs."""
    found = mig(CODES, TEST_LABELS)
    assert found.columns == ("digit", "color[0]", "color[1]", "color[2]", "angle")
    single = [mig(CODES, {"one": TEST_LABELS["color"][:, column]}).mean for column in range(3)]
    assert found.factors["color"] == pytest.approx(np.mean(single))


@given(st.permutations(range(9)), st.floats(0.1, 10), st.floats(-5, 5))
def test_mig_does_not_depend_on_order_or_scale(order: list[int], scale: float, shift: float) -> None:
    """Permuted dimensions permute the matrix; rows may come in any order; bins follow the range."""
    rows = np.random.default_rng(0).permutation(400)
    expected = mig(CODES, TEST_LABELS)
    labels = {name: values[rows] for name, values in TEST_LABELS.items()}
    found = mig(CODES[rows][:, order] * np.float64(2) ** np.round(np.log2(scale)), labels)
    np.testing.assert_allclose(found.matrix, expected.matrix[:, order], atol=1e-12)
    assert mig(CODES + shift, TEST_LABELS).mean == pytest.approx(expected.mean, abs=0.02)


def test_sap_is_the_best_linear_reading() -> None:
    """Scores are the accuracy of scikit-learn's machine on one dimension, and the squared correlation of NumPy."""
    found = sap(TRAINING, TRAIN_LABELS, CODES, TEST_LABELS)
    for dimension in range(CODES.shape[1]):
        machine = LinearSVC(C=0.01, class_weight="balanced", dual="auto", random_state=0)
        machine.fit(TRAINING[:, dimension : dimension + 1], TRAIN_LABELS["digit"])
        accuracy = machine.score(CODES[:, dimension : dimension + 1], TEST_LABELS["digit"])
        assert found.matrix[0, dimension] == pytest.approx(accuracy)
        for row, values in enumerate((*TEST_LABELS["color"].T, TEST_LABELS["angle"]), start=1):
            correlation = np.corrcoef(values, CODES[:, dimension])[0, 1]
            assert found.matrix[row, dimension] == pytest.approx(correlation**2, abs=1e-12)
    best = np.sort(found.matrix, axis=1)
    gaps = best[:, -1] - best[:, -2]
    assert found.factors == pytest.approx({"digit": gaps[0], "color": gaps[1:4].mean(), "angle": gaps[4]})


def test_sap_of_two_classes_is_what_is_gained_over_chance() -> None:
    """One dimension tells two classes apart and the others guess: the gap is nearly one half."""
    label = RNG.integers(0, 2, 1000)
    codes = np.column_stack([NOISE, 4.0 * label + 0.1 * NOISE[:, 0]])
    assert sap(codes[:500], {"f": label[:500]}, codes[500:], {"f": label[500:]}).mean == pytest.approx(0.5, abs=0.08)


def test_a_dimension_that_does_not_vary_tells_nothing() -> None:
    """A constant has no information and no correlation, and is no error."""
    codes = np.column_stack([np.ones(1000), ANGLE])
    labels = {"angle": ANGLE}
    for found in (mig(codes, labels), sap(codes, labels, codes, labels)):
        np.testing.assert_allclose(found.matrix, [[0, 1]], atol=1e-12)


@pytest.mark.parametrize(
    ("codes", "labels", "bins", "message"),
    [
        (CODES[:, :1], TEST_LABELS, 20, r"codes must have at least 2 dimensions.*codes.shape=\(400, 1\)"),
        (CODES, TEST_LABELS, 1, r"bins must be at least 2. Received: bins=1"),
        (CODES[:10], TEST_LABELS, 20, r"labels\['digit'\] must have the shape \[10\]"),
    ],
)
def test_what_has_no_information_gap_is_refused(codes: Any, labels: Any, bins: int, message: str) -> None:
    """There are two dimensions, two bins, and a label for each row."""
    with pytest.raises(ValueError, match=message):
        mig(codes, labels, bins=bins)


@pytest.mark.parametrize(
    ("train", "test", "labels", "message"),
    [
        (TRAINING[:, :1], CODES[:, :1], TEST_LABELS, r"train_codes must have at least 2 dimensions"),
        (TRAINING[:, 1:], CODES, TEST_LABELS, r"same number of dimensions. Received: train_codes.shape=\(1500, 8\)"),
        (TRAINING, CODES, {"angle": TEST_LABELS["angle"]}, r"must name the same factors"),
    ],
)
def test_what_has_no_predictability_gap_is_refused(train: Any, test: Any, labels: Any, message: str) -> None:
    """There are two dimensions, and both samples are alike."""
    with pytest.raises(ValueError, match=message):
        sap(train, TRAIN_LABELS, test, labels)
