"""When to try again."""

import pytest

from gyoza.client import (
    ConnectionFailed,
    Internal,
    InvalidInput,
    NotReady,
    NotTrusted,
    Overloaded,
    Retries,
    TimedOut,
    UnexpectedAnswer,
)
from gyoza.client.errors import GyozaClientError, Problem


def overloaded(seconds: float | None = None) -> Overloaded:
    """The service's own word that too much waits."""
    return Overloaded(Problem("overloaded", 429, "", "", retry_after=seconds))


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (overloaded(), True),
        (NotReady(Problem("not-ready", 503, "", "")), True),
        (UnexpectedAnswer("a proxy's", 503), True),
        (ConnectionFailed(), True),
        (UnexpectedAnswer("a proxy's", 500), True),
        (UnexpectedAnswer("a proxy's", 502), True),
        (UnexpectedAnswer("a proxy's", 404), False),
        (UnexpectedAnswer("of no status"), False),
        (Internal(Problem("internal", 500, "", "")), False),
        (UnexpectedAnswer("unreadable", 200), False),
        (InvalidInput(Problem("invalid-input", 422, "", "")), False),
        (TimedOut(), False),
        (NotTrusted(), False),
    ],
)
def test_only_what_may_pass_is_tried_again(error: GyozaClientError, again: bool) -> None:
    """Moments pass; what is wrong with a request, or takes too long, would be the same again."""
    assert (Retries().pause(error, 0, 0.0, 0.5) is not None) is again


def test_the_service_is_obeyed() -> None:
    """A pause is never shorter than the service asks, and hardly longer."""
    pauses = [Retries().pause(overloaded(3.0), 0, 0.0, draw) for draw in (0.0, 0.5, 1.0)]
    assert pauses == [3.0, 3.05, 3.1]


def test_pauses_double_up_to_the_longest() -> None:
    """Without a word of the service, pauses double, and lie between half and all of that."""
    retries = Retries(count=9, first=1.0, longest=5.0)
    assert [retries.pause(overloaded(), made, 0.0, 1.0) for made in range(5)] == [1.0, 2.0, 4.0, 5.0, 5.0]
    assert [retries.pause(overloaded(), made, 0.0, 0.0) for made in range(5)] == [0.5, 1.0, 2.0, 2.5, 2.5]


def test_count_and_time_are_bounded() -> None:
    """There are so many tries, and none begins after the time is over, be it for the service's own wish."""
    retries = Retries(count=2, seconds=10.0)
    assert [retries.pause(overloaded(), made, 0.0, 0.5) is None for made in range(4)] == [False, False, True, True]
    assert retries.pause(overloaded(3.0), 0, 7.0, 0.0) == 3.0
    assert retries.pause(overloaded(3.0), 0, 7.5, 0.0) is None
    assert Retries(count=0).pause(overloaded(), 0, 0.0, 0.5) is None


def test_numbers_below_zero_are_refused() -> None:
    """Nothing can be tried less than never."""
    with pytest.raises(ValueError, match=r"must be 0 or more\. Received: Retries\(count=-1"):
        Retries(count=-1)
