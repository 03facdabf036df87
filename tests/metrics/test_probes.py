"""Probes find a factor where it is, and nowhere else."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

from gyoza.metrics import BlockScores, Probes, predictability
from tests.metrics.worlds import SIZES, TEST_BLOCKS, TEST_LABELS, TRAIN_BLOCKS, TRAIN_LABELS

CLEAN = predictability(TRAIN_BLOCKS, TRAIN_LABELS, TEST_BLOCKS, TEST_LABELS)


def mixed(blocks: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Blocks that all hold a little of each other."""
    code = np.concatenate(list(blocks.values()), axis=1)
    mixing = np.random.default_rng(5).normal(size=(code.shape[1], code.shape[1]))
    parts = np.split(code @ mixing, np.cumsum(list(SIZES.values()))[:-1], axis=1)
    return dict(zip(SIZES, parts, strict=True))


def score(train: dict[str, np.ndarray], test: dict[str, np.ndarray]) -> BlockScores:
    """Scores of blocks of the usual rows."""
    return predictability(train, TRAIN_LABELS, test, TEST_LABELS)


def test_a_factor_is_found_in_its_own_block_and_nowhere_else() -> None:
    """Blocks that hold exactly their factor are informative and complete, and leak nothing."""
    assert (CLEAN.factors, CLEAN.blocks) == (("digit", "color", "angle"), tuple(SIZES))
    assert CLEAN.measures == ("accuracy", "R²", "R²")
    assert CLEAN.informativeness["digit"] == 1
    assert min(CLEAN.informativeness.values()) > 0.97
    assert max(CLEAN.leakage.values()) < 0.05
    assert min(CLEAN.completeness.values()) > 0.85


def test_a_copied_factor_leaks_in_full() -> None:
    """A residual that repeats the digit's block leaks all of it, and halves its completeness."""
    train, test = TRAIN_BLOCKS | {"residual": TRAIN_BLOCKS["digit"]}, TEST_BLOCKS | {"residual": TEST_BLOCKS["digit"]}
    found = score(train, test)
    assert found.leakage["digit"] == 1
    assert found.completeness["digit"] == pytest.approx(0.5, abs=0.05)
    assert found.leakage["color"] < 0.05


def test_noise_tells_nothing() -> None:
    """Blocks of noise have no score beyond chance, and only the numbers' plain R² shows that they do harm."""
    rng = np.random.default_rng(6)
    train, test = ({name: rng.normal(size=(count, 2)) for name in SIZES} for count in (1500, 400))
    found = score(train, test)
    assert found.scores.max() < 0.06
    assert found.raw[1:].max() < 0


def test_raw_readings_are_scikit_learns() -> None:
    """On blocks that are mixed up, accuracies and R² are those of its nearest-neighbour estimators."""
    train, test = mixed(TRAIN_BLOCKS), mixed(TEST_BLOCKS)
    found = score(train, test)
    for row, factor in enumerate(found.factors):
        estimator = KNeighborsClassifier if factor == "digit" else KNeighborsRegressor
        for column, block in enumerate(found.blocks):
            probe = estimator(10, weights="distance").fit(train[block], TRAIN_LABELS[factor])
            assert found.raw[row, column] == pytest.approx(probe.score(test[block], TEST_LABELS[factor]), abs=1e-9)
    commonest = np.bincount(TEST_LABELS["digit"]).max() / 400
    np.testing.assert_allclose(found.scores[0], ((found.raw[0] - commonest) / (1 - commonest)).clip(0))
    np.testing.assert_array_equal(found.scores[1:], found.raw[1:].clip(0, 1))


@given(st.permutations(list(SIZES)))
def test_permuted_blocks_permute_the_matrix(order: list[str]) -> None:
    """The columns follow the blocks; what is said of a factor stays."""
    found = Probes({name: TRAIN_BLOCKS[name][:100] for name in order}, first(TRAIN_LABELS, 100)).score(
        {name: TEST_BLOCKS[name][:50] for name in order}, first(TEST_LABELS, 50)
    )
    assert found.blocks == tuple(order)
    np.testing.assert_array_equal(found.scores, SMALL.scores[:, [SMALL.blocks.index(name) for name in order]])
    assert found.informativeness == SMALL.informativeness
    assert found.leakage == SMALL.leakage
    assert found.completeness == pytest.approx(SMALL.completeness)


@given(st.randoms())
def test_permuted_rows_change_nothing(random: Any) -> None:
    """Neither the order of the training rows nor that of the test rows matters, ties included."""
    orders = [random.sample(range(count), count) for count in (100, 50)]
    rounded = [{n: np.round(block[:k]) for n, block in b.items()} for b, k in ((TRAIN_BLOCKS, 100), (TEST_BLOCKS, 50))]
    labels = [first(TRAIN_LABELS, 100), first(TEST_LABELS, 50)]
    expected = predictability(rounded[0], labels[0], rounded[1], labels[1])
    train, test = (shuffled(blocks, order) for blocks, order in zip(rounded, orders, strict=True))
    known, asked = (shuffled(values, order) for values, order in zip(labels, orders, strict=True))
    np.testing.assert_allclose(predictability(train, known, test, asked).raw, expected.raw, rtol=1e-9)


def first(labels: dict[str, np.ndarray], count: int) -> dict[str, np.ndarray]:
    """Labels of the first rows."""
    return {name: values[:count] for name, values in labels.items()}


def shuffled(values: dict[str, np.ndarray], order: list[int]) -> dict[str, np.ndarray]:
    """Arrays with their rows in another order."""
    return {name: rows[order] for name, rows in values.items()}


SMALL = Probes({name: block[:100] for name, block in TRAIN_BLOCKS.items()}, first(TRAIN_LABELS, 100)).score(
    {name: block[:50] for name, block in TEST_BLOCKS.items()}, first(TEST_LABELS, 50)
)


@pytest.mark.parametrize("name", [str, bool])
def test_classes_may_be_anything_that_names_them(name: type) -> None:
    """Strings and booleans score as the integers that they stand for, and are what is read."""
    train, test = ({**labels, "digit": labels["digit"] % 2} for labels in (TRAIN_LABELS, TEST_LABELS))
    numbers = predictability(TRAIN_BLOCKS, train, TEST_BLOCKS, test)
    named = [{**labels, "digit": labels["digit"].astype(name)} for labels in (train, test)]
    probes = Probes(TRAIN_BLOCKS, named[0])
    np.testing.assert_array_equal(probes.score(TEST_BLOCKS, named[1]).raw, numbers.raw)
    np.testing.assert_array_equal(probes.read(TEST_BLOCKS)["digit"], named[1]["digit"])


def test_readings_have_the_shape_of_the_labels() -> None:
    """Classes and single numbers come as [n], colours as [n, 3]."""
    found = Probes(TRAIN_BLOCKS, TRAIN_LABELS).read(TEST_BLOCKS)
    assert {name: reading.shape for name, reading in found.items()} == {
        "digit": (400,),
        "color": (400, 3),
        "angle": (400,),
    }
    np.testing.assert_allclose(found["angle"], TEST_LABELS["angle"], atol=2)


def test_a_class_that_was_never_learnt_is_read_wrongly() -> None:
    """It counts as a mistake; nothing fails."""
    unseen = {**TEST_LABELS, "digit": np.where(TEST_LABELS["digit"] == 0, 9, TEST_LABELS["digit"])}
    found = predictability(TRAIN_BLOCKS, TRAIN_LABELS, TEST_BLOCKS, unseen)
    assert found.raw[0, 1] == (TEST_LABELS["digit"] != 0).mean()


@pytest.mark.parametrize("neighbours", [0, 1501])
def test_there_are_as_many_neighbours_as_asked_for(neighbours: int) -> None:
    """None is too few, and more than there are rows too many."""
    with pytest.raises(ValueError, match=rf"lie in 1 … 1500.*Received: neighbours={neighbours}"):
        Probes(TRAIN_BLOCKS, TRAIN_LABELS, neighbours=neighbours)


def test_a_factor_without_a_block_is_refused() -> None:
    """Labels of what no block is made for can't be judged."""
    with pytest.raises(ValueError, match=r"block of its own name.*Received: factors=\['size'\]"):
        Probes(TRAIN_BLOCKS, {"size": TRAIN_LABELS["angle"]})


@pytest.mark.parametrize(
    ("blocks", "labels", "message"),
    [
        ({"angle": TEST_BLOCKS["angle"]}, TEST_LABELS, r"names and sizes of the training blocks"),
        (TEST_BLOCKS | {"angle": TEST_BLOCKS["color"]}, TEST_LABELS, r"Received: \{.*'angle': 3\}"),
        (TEST_BLOCKS, {"angle": TEST_LABELS["angle"]}, r"must name the same factors"),
        (TEST_BLOCKS, first(TEST_LABELS, 10), r"labels\['digit'\] must have the shape \[400\]"),
    ],
)
def test_other_rows_must_be_as_in_training(blocks: Any, labels: Any, message: str) -> None:
    """Blocks, sizes and factors are those of the training, and there is a label for each row."""
    with pytest.raises(ValueError, match=message):
        Probes(TRAIN_BLOCKS, TRAIN_LABELS).score(blocks, labels)
