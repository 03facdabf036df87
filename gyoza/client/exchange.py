"""One request until it is answered: tries, pauses, and what is wrong in the end."""

import random
import time
from collections.abc import Callable

from gyoza.client.errors import GyozaClientError
from gyoza.client.flows import Flow, Pause
from gyoza.client.messages import Answer, Request
from gyoza.client.problems import error_of
from gyoza.client.retries import Retries

__all__ = ["exchange", "probe"]


def exchange(
    request: Request,
    retries: Retries,
    clock: Callable[[], float] = time.monotonic,
    draw: Callable[[], float] = random.random,
) -> Flow[Answer]:
    """Send a request until it succeeds, as often as ``retries`` allow.

    Args:
        request: It.
        retries: When to try again.
        clock: The time in seconds.
        draw: Draws from 0 to 1.

    Returns:
        The answer, which is a success.

    Raises:
        GyozaClientError: What came of the last try.
    """
    begin, made = clock(), 0
    while True:
        outcome: Answer | GyozaClientError = yield request
        if isinstance(outcome, Answer) and 200 <= outcome.status < 300:
            return outcome
        error = error_of(request, outcome) if isinstance(outcome, Answer) else outcome
        seconds = retries.pause(error, made, clock() - begin, draw())
        if seconds is None:
            raise error
        made += 1
        yield Pause(seconds)


def probe(request: Request) -> Flow[bool]:
    """Send a request once, and tell whether it succeeds."""
    outcome = yield request
    return isinstance(outcome, Answer) and outcome.status == 200
