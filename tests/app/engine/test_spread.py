"""One pass over several cores gives what one core gives."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from app.engine.spread import Spread
from gyoza.inference.plan import Floats


@pytest.fixture
def helpers() -> Iterator[ThreadPoolExecutor]:
    """Two threads."""
    with ThreadPoolExecutor(2) as pool:
        yield pool


@pytest.mark.parametrize(
    ("rows", "sizes"), [(1, [1]), (7, [7]), (8, [4, 4]), (11, [6, 5]), (13, [5, 4, 4]), (100, [34, 33, 33])]
)
def test_parts_are_put_together_in_order(helpers: ThreadPoolExecutor, rows: int, sizes: list[int]) -> None:
    """Every row's results come back in its place, from parts of about one size and no smaller than they may be."""
    seen = []

    def function(part: Floats) -> tuple[Floats, Floats]:
        seen.append(len(part))
        return part * 2, part[:, 0]

    given = np.random.RandomState(0).normal(size=(rows, 3))
    doubled, first = Spread(function, helpers, 3, 4)(given)
    np.testing.assert_array_equal(doubled, given * 2)
    np.testing.assert_array_equal(first, given[:, 0])
    assert sorted(seen, reverse=True) == sizes


def test_parts_are_computed_beside_each_other(helpers: ThreadPoolExecutor) -> None:
    """All parts run at the same time: each waits here for the others."""
    together = threading.Barrier(3, timeout=10)

    def function(part: Floats) -> tuple[Floats]:
        together.wait()
        return (part,)

    assert len(Spread(function, helpers, 3, 1)(np.zeros((9, 1)))[0]) == 9


@pytest.mark.parametrize("failing", [0.0, 1.0])
def test_an_error_is_raised_once_no_part_runs(helpers: ThreadPoolExecutor, failing: float) -> None:
    """Whichever part fails, whoever asked gets the error only after every other part has ended."""
    failed, ended = threading.Event(), []

    def function(part: Floats) -> tuple[Floats]:
        if part[0, 0] == failing:
            failed.set()
            raise ArithmeticError
        assert failed.wait(10)
        time.sleep(0.05)
        ended.append(part[0, 0])
        return (part,)

    with pytest.raises(ArithmeticError):
        Spread(function, helpers, 3, 1)(np.arange(3.0)[:, None])
    assert set(ended) == {0.0, 1.0, 2.0} - {failing}


def test_a_part_that_can_t_be_handed_over_fails_the_pass() -> None:
    """Where no helper takes parts any more, the parts that one took are still waited for."""
    ended = []

    class OneMore(ThreadPoolExecutor):
        def submit(self, *arguments: Any, **keywords: Any) -> Any:
            future = super().submit(*arguments, **keywords)
            self.shutdown(wait=False)
            return future

    def function(part: Floats) -> tuple[Floats]:
        time.sleep(0.05)
        ended.append(part[0, 0])
        return (part,)

    with pytest.raises(RuntimeError, match="after shutdown"):
        Spread(function, OneMore(2), 3, 1)(np.arange(3.0)[:, None])
    assert ended == [1.0]


def test_an_error_of_any_part_is_raised(helpers: ThreadPoolExecutor) -> None:
    """A part that fails fails the pass."""

    def function(part: Floats) -> tuple[Floats]:
        if part[0, 0]:
            raise ArithmeticError(len(part))
        return (part,)

    with pytest.raises(ArithmeticError, match="2"):
        Spread(function, helpers, 2, 1)(np.array([[0.0], [0.0], [1.0], [1.0]]))
