"""Whether a pass waits for clients that come back."""

import pytest

from app.engine.pace import Pace
from app.engine.returning import LONGEST_REST, LONGEST_S, SHARE, Returning

FLAT = 1e-2
"""What a pass takes, however many its rows."""


def returning(seconds: float = FLAT) -> Returning:
    """Nobody was answered yet; 16 rows at most in a pass."""
    return Returning(Pace({1: seconds, 16: seconds}), 16)


def test_who_was_answered_is_waited_for_until_all_are_back() -> None:
    """For half of what a common pass saves, from the answer on; not at all before one, or once all are back."""
    clients = returning()
    assert clients.patience_s(4, 1.0) == 0.0
    clients.answered(4, 1.0)
    assert clients.patience_s(4, 1.0) == pytest.approx(SHARE * FLAT)
    assert clients.patience_s(4, 1.001) == pytest.approx(SHARE * FLAT - 0.001)
    clients.arrived(3)
    assert clients.patience_s(7, 1.0) > 0
    clients.arrived(1)
    assert clients.patience_s(8, 1.0) == 0.0


def test_nobody_waits_for_what_no_pass_can_hold() -> None:
    """Rows that would not fit into one pass with those that wait are not waited for."""
    clients = returning()
    clients.answered(9, 1.0)
    assert clients.patience_s(7, 1.0) > 0
    assert clients.patience_s(8, 1.0) == 0.0


def test_nobody_waits_long() -> None:
    """However long a pass takes."""
    clients = returning(seconds=10.0)
    clients.answered(2, 1.0)
    assert clients.patience_s(2, 1.0) == pytest.approx(LONGEST_S)


def rests(clients: Returning) -> int:
    """How many passes follow without a wait."""
    count = 0
    clients.answered(4, 1.0)
    while clients.patience_s(4, 1.0) <= 0:
        clients.answered(4, 1.0)
        count += 1
    return count


def test_waits_in_vain_become_rare_until_one_pays() -> None:
    """After each wait in vain twice as many passes go without one; one that pays makes all wait again."""
    clients, found = returning(), []
    for _ in range(9):
        found.append(rests(clients))
        clients.stop_waiting()
    assert found == [0, 1, 2, 4, 8, 16, 32, LONGEST_REST, LONGEST_REST]
    rests(clients)
    clients.arrived(2)
    clients.stop_waiting()
    assert rests(clients) == 0


def test_a_wait_for_something_else_teaches_nothing() -> None:
    """Where nobody was answered, the end of a wait says nothing about clients that come back."""
    clients = returning()
    clients.stop_waiting()
    assert rests(clients) == 0
