"""What is said of a matrix of scores is what can be counted by hand."""

import numpy as np
import pytest

from gyoza.metrics import BlockScores

SCORES = BlockScores(
    factors=("digit", "angle"),
    blocks=("residual", "angle", "digit"),
    scores=np.array([[0.25, 0.25, 0.5], [0.0, 0.0, 0.0]]),
    raw=np.array([[0.4, 0.4, 0.6], [-0.1, 0.0, -0.2]]),
    measures=("accuracy", "R²"),
)


def test_each_factor_is_looked_up_in_its_own_block() -> None:
    """Blocks may stand in any order; what is not the factor's own leaks."""
    assert SCORES.informativeness == {"digit": 0.5, "angle": 0.0}
    np.testing.assert_array_equal(SCORES.leakages, [[0.25, 0.25, 0], [0, 0, 0]])
    assert SCORES.leakage == {"digit": 0.25, "angle": 0.0}


def test_completeness_is_one_minus_relative_entropy() -> None:
    """Half in one block and a quarter in two others is 1 − 1.5 bits / log₂ 3; told nowhere is complete nowhere."""
    assert SCORES.completeness == pytest.approx({"digit": 1 - 1.5 / np.log2(3), "angle": 0})


def test_a_single_block_is_complete() -> None:
    """All that is told is told in one block, and nothing can leak."""
    only = BlockScores(("a",), ("a",), np.array([[0.3]]), np.array([[0.5]]), ("accuracy",))
    assert (only.informativeness, only.leakage, only.completeness) == ({"a": 0.3}, {"a": 0.0}, {"a": 1.0})


def test_the_table_shows_everything() -> None:
    """A row per factor, its own block in brackets; printing shows the table."""
    assert str(SCORES) == SCORES.table()
    assert SCORES.table().splitlines() == [
        "| factor |  measure | residual |   angle |   digit | informativeness | leakage | completeness |",
        "| :----- | -------: | -------: | ------: | ------: | --------------: | ------: | -----------: |",
        "| digit  | accuracy |   0.250  |  0.250  | [0.500] |           0.500 |   0.250 |        0.054 |",
        "| angle  |       R² |   0.000  | [0.000] |  0.000  |           0.000 |   0.000 |        0.000 |",
    ]
