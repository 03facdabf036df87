"""When to try again: a pure function of what happened so far."""

from dataclasses import dataclass

from gyoza.client.errors import ConnectionFailed, GyozaClientError, NotTrusted, ProblemError, UnexpectedAnswer

__all__ = ["Retries"]

PASSING = frozenset({429, 503})
"""Nothing is wrong with a request that got such a status, only with the moment."""
PROXYS = PASSING | {500, 502}
"""The same where the answer is not the service's: so proxies tell that a server ended before it answered. The service's own
500, a bug, says that it is one."""


@dataclass(frozen=True)
class Retries:
    """How often and how long to try again what may be: connections that fail, the statuses 429 and 503, and a proxy's 500 and 502.

    That is safe for all calls, since asking one of them twice is as good as asking it once. Answers that say when to try
    again (``Retry-After``) are obeyed; else pauses double from ``first`` to ``longest``. All are drawn a little apart, so
    that clients that were sent away together do not come back together.

    Args:
        count: So many tries follow the first one, at most; 0 for none.
        seconds: No try begins later than this after the first one began.
        first: The first pause, in seconds.
        longest: The longest pause, in seconds, where the answer asks for none.
    """

    count: int = 8
    seconds: float = 60.0
    first: float = 0.1
    longest: float = 5.0

    def __post_init__(self) -> None:
        """Refuse what is below 0."""
        if min(self.count, self.seconds, self.first, self.longest) < 0:
            raise ValueError(f"count, seconds, first and longest must be 0 or more. Received: {self}")

    def pause(self, error: GyozaClientError, made: int, elapsed: float, draw: float) -> float | None:
        """Tell how long to wait before the next try.

        Args:
            error: What came of the last one.
            made: How many tries followed the first one so far.
            elapsed: Seconds since the first one began.
            draw: A number drawn from 0 to 1.

        Returns:
            Seconds; None: there is no use in another try, or no time for it.

        Example:
            >>> from gyoza.client import ConnectionFailed
            >>> [Retries(count=3, first=1.0).pause(ConnectionFailed(), made, 0.0, 1.0) for made in range(4)]
            [1.0, 2.0, 4.0, None]
        """
        if made >= self.count or not may_pass(error):
            return None
        asked = getattr(error, "retry_after", None)
        usual = min(self.longest, self.first * 2**made)
        seconds: float = usual * (0.5 + draw / 2) if asked is None else asked + self.first * draw
        return seconds if elapsed + seconds <= self.seconds else None


def may_pass(error: GyozaClientError) -> bool:
    """Whether another try may succeed where this error came of the last one."""
    if isinstance(error, UnexpectedAnswer):
        return error.status in PROXYS
    if isinstance(error, ProblemError):
        return error.status in PASSING
    return isinstance(error, ConnectionFailed) and not isinstance(error, NotTrusted)
