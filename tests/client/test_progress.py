"""How far a call is."""

import pytest

from gyoza.client.progress import Counter


def test_a_function_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """A function gets rows that are done and all rows, each time that there are more, and nothing is printed."""
    told: list[tuple[int, int]] = []
    counter = Counter(5, lambda done, total: told.append((done, total)))
    counter.add(2)
    counter.add(3)
    assert told == [(2, 5), (5, 5)]
    assert capsys.readouterr() == ("", "")


def test_a_bar_is_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    """True draws a bar on standard error, over and over on one line, which ends when all is done."""
    counter = Counter(4, True)
    counter.add(1)
    counter.add(3)
    first, second = capsys.readouterr().err.split("\r")[1:]
    assert first == f"[{'#' * 10}{'-' * 30}]  25 %  1/4 rows"
    assert second == f"[{'#' * 40}] 100 %  4/4 rows\n"


def test_nobody_need_know(capsys: pytest.CaptureFixture[str]) -> None:
    """False prints nothing."""
    Counter(1, False).add(1)
    assert capsys.readouterr() == ("", "")
