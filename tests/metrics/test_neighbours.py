"""Neighbours are those of scikit-learn, and where these depend on chance, ours do not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.neighbors import KNeighborsRegressor

from gyoza.metrics import neighbours
from gyoza.metrics.neighbours import NearestNeighbours

RNG = np.random.default_rng(0)
ROWS, VALUES, QUERIES = RNG.normal(size=(300, 4)), RNG.normal(size=(300, 3)), RNG.normal(size=(80, 4))


@pytest.mark.parametrize("count", [1, 10, 300])
@pytest.mark.parametrize("location", [0.0, 1e6])
def test_averages_are_scikit_learns(count: int, location: float) -> None:
    """On rows in general position the averages are those of KNeighborsRegressor, wherever the rows lie."""
    rows, queries = ROWS + location, QUERIES + location
    # Its trees compute each distance as it is; its brute force would lose digits far from 0.
    oracle = KNeighborsRegressor(count, weights="distance", algorithm="kd_tree").fit(rows, VALUES)
    expected = oracle.predict(queries)
    np.testing.assert_allclose(NearestNeighbours(rows, count).averages(queries, VALUES), expected, rtol=1e-6, atol=1e-9)


def test_chunks_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    """However few distances are held at once, the averages are the same."""
    whole = NearestNeighbours(ROWS, 5).averages(QUERIES, VALUES)
    monkeypatch.setattr(neighbours, "ENTRIES", 700)
    np.testing.assert_allclose(NearestNeighbours(ROWS, 5).averages(QUERIES, VALUES), whole, rtol=1e-12)


def test_rows_in_the_very_place_count_alone_and_equally() -> None:
    """A known row gets the mean of what is known of its place, however many rows stand there."""
    rows, values = np.array([[0.0], [0.0], [0.0], [1e-9]]), np.array([[1.0], [2.0], [6.0], [100.0]])
    np.testing.assert_allclose(NearestNeighbours(rows, 2).averages(rows[:1], values), [[3.0]])


def test_rows_as_near_as_the_last_neighbour_are_neighbours_too() -> None:
    """Of four rows at one distance none is preferred, though two neighbours were asked for."""
    rows, values = np.array([[1.0, 0], [0, 1], [-1, 0], [0, -1], [9, 9]]), np.arange(5.0)[:, None]
    np.testing.assert_allclose(NearestNeighbours(rows, 2).averages(np.zeros((1, 2)), values), [[1.5]])


@given(arrays(np.int8, (12, 2), elements=st.integers(-3, 3)), st.permutations(range(12)), st.integers(1, 12))
def test_the_order_of_the_rows_does_not_matter(grid: np.ndarray, order: list[int], count: int) -> None:
    """On a grid, where ties are everywhere, permuted rows give the same averages."""
    rows, values, queries = grid.astype(float), np.arange(12.0)[:, None] ** 2, grid[:4] + 0.5
    first = NearestNeighbours(rows, count).averages(queries, values)
    second = NearestNeighbours(rows[order], count).averages(queries, values[order])
    np.testing.assert_allclose(second, first, rtol=1e-9)


def test_a_row_far_away_makes_no_others_neighbours() -> None:
    """One row of another magnitude changes nothing for queries that it is not near to."""
    expected = NearestNeighbours(ROWS, 10).averages(QUERIES, VALUES)
    rows, values = np.vstack([ROWS, np.full((1, 4), 1e8)]), np.vstack([VALUES, np.full((1, 3), 1e3)])
    np.testing.assert_allclose(NearestNeighbours(rows, 10).averages(QUERIES, values), expected, rtol=1e-6)


@pytest.mark.parametrize("where", ["rows", "queries"])
def test_entries_whose_squares_overflow_are_refused(where: str) -> None:
    """Distances must be numbers; the error names the row."""
    bad = {"rows": ROWS.copy(), "queries": QUERIES.copy()}
    bad[where][7, 1] = 1e200
    with pytest.raises(ValueError, match=r"squares are numbers.*Received: row=7, largest entry=1.0e\+200"):
        NearestNeighbours(bad["rows"], 5).averages(bad["queries"], VALUES)
