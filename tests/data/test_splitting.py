"""Rows to train on and rows to validate on."""

from typing import Any

import numpy as np
import pytest

from gyoza.data import split_rows


@pytest.mark.parametrize(("count", "part", "expected"), [(100, 0.1, 10), (7, 0.5, 4), (4, 0.01, 2), (10, 0.99, 8)])
def test_every_row_is_on_one_side(count: int, part: float, expected: int) -> None:
    """Both sides are ascending, hold each row once together, and at least two rows each."""
    training, validation = split_rows(count, part)
    assert len(validation) == expected
    assert sorted([*training, *validation]) == list(range(count))
    assert (np.diff(training) > 0).all()
    assert (np.diff(validation) > 0).all()


def test_the_seed_decides() -> None:
    """The same seed gives the same rows, another seed others."""
    first, again, other = (split_rows(100, seed=seed)[1].tolist() for seed in (3, 3, 4))
    assert first == again
    assert first != other


@pytest.mark.parametrize(
    ("count", "options", "kind", "message"),
    [
        (3, {}, ValueError, "count must be at least 4. Received: count=3"),
        (9.0, {}, TypeError, "count must be an integer"),
        (9, {"validation": 0.0}, ValueError, "between 0 and 1, both excluded; .*Received: validation=0.0"),
        (9, {"validation": 2}, ValueError, "Received: validation=2"),
        (9, {"validation": float("nan")}, ValueError, "Received: validation=nan"),
        (9, {"seed": -1}, ValueError, "seed must be at least 0. Received: seed=-1"),
    ],
)
def test_other_splits_are_refused(count: Any, options: Any, kind: type[Exception], message: str) -> None:
    """The message says what must hold."""
    with pytest.raises(kind, match=message):
        split_rows(count, **options)
