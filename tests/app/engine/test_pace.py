"""The pace: how long passes take, as timed at warm-up and as they do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.engine.pace import LARGEST_CHANGE, WEIGHT, Pace


@pytest.mark.parametrize(
    ("seconds", "rows"),
    [
        ({}, 0),
        ({1: 2e-3, 8: 3e-3}, 0),
        ({1: 1e-4, 8: 1e-4}, 8),
        ({1: 1e-4, 8: 5e-4, 64: 2.5e-3}, 36),
        ({1: 1e-4, 8: 2.9e-3, 64: 5e-4}, 4),
    ],
)
def test_quick_rows_lie_between_what_was_timed(seconds: dict[int, float], rows: int) -> None:
    """Rows count as quick in proportion up to the first count that was slow, and none where a single row is."""
    assert Pace(seconds).quick_rows == rows


def test_seconds_lie_between_what_was_timed() -> None:
    """In proportion between counts; more rows than the most that were timed take as long as those."""
    pace = Pace({1: 1.0, 4: 4.0, 16: 10.0})
    assert [pace.seconds(rows) for rows in (1, 2, 3, 4, 8, 16, 99)] == [1.0, 2.0, 3.0, 4.0, 6.0, 10.0, 10.0]


def test_a_common_pass_saves_what_a_pass_costs_by_itself() -> None:
    """Where a pass costs 2 and 1 more for each row, a common one saves 2; where rows cost ever more, nothing."""
    assert Pace({1: 3.0, 2: 4.0, 16: 18.0}).saved(4, 8) == pytest.approx(2.0)
    assert Pace({1: 1.0, 8: 8.0, 16: 99.0}).saved(8, 8) == 0.0


def test_the_largest_pass_counts_though_it_is_no_power_of_two() -> None:
    """Two passes of 50 rows and one of 100 take the same where each row takes as long, so nothing is saved."""
    pace = Pace({1: 1.0, 64: 64.0, 100: 100.0})
    assert pace.seconds(100) == 100.0
    assert pace.saved(50, 50) == pytest.approx(0.0)


def test_nothing_is_saved_where_nothing_is_known() -> None:
    """Without a warm-up no time is known, and none is learned."""
    pace = Pace({})
    pace.learn(4, 1.0)
    assert pace.seconds(4) == pace.saved(1, 2) == 0.0


@given(rows=st.integers(1, 1500), seconds=st.floats(1e-6, 1e3), before=st.floats(1e-4, 1.0))
def test_what_passes_take_is_learned(rows: int, seconds: float, before: float) -> None:
    """Each pass moves what is known a little towards it, the more exactly the more often; none moves it far."""
    pace = Pace({1: before, 1024: before})
    known = pace.seconds(rows)
    pace.learn(rows, seconds)
    assert abs(pace.seconds(rows) - known) <= 1.01 * known * WEIGHT * (LARGEST_CHANGE - 1)
    for _ in range(500):
        pace.learn(rows, seconds)
    assert pace.seconds(rows) == pytest.approx(seconds, rel=0.01)
