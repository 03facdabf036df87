"""The line about each request in the log."""

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

logger = logging.getLogger("gyoza.access")

KEY = "gyoza.key"
"""Where the scope of a request holds whose key came, an ``app.keys.Key``, or None; absent where no keys are set."""
TOGETHER_S = 0.01
"""Lines of so long are written together: one at a time, each costs several times as much, while its client waits."""
LINE = "%s %s %d %.1fms %s"
LINE_WITH_KEY = LINE + " by %s"


class Entry(NamedTuple):
    """What is told of a request."""

    created: float
    """When it was answered, on the clock of ``time.time``."""
    method: str
    path: str
    status: int
    milliseconds: float
    request_id: str
    key: str | None
    """Whose key came, by the name in its file."""


class AccessLog:
    """Logs requests a moment after they were answered."""

    def __init__(self) -> None:
        """Begin with nothing to write."""
        self._entries: list[Entry] = []

    def note(self, scope: Mapping[str, Any], status: int, seconds: float, request_id: str) -> None:
        """Log a request of the status that took so long."""
        if not logger.isEnabledFor(logging.INFO):
            return
        if not self._entries:
            asyncio.get_running_loop().call_later(TOGETHER_S, self.flush)
        key = scope.get(KEY)
        self._entries.append(
            Entry(
                time.time(),
                scope["method"],
                scope["path"],
                status,
                1e3 * seconds,
                request_id,
                key.name if key else None,
            )
        )

    def flush(self) -> None:
        """Write what was noted."""
        entries, self._entries = self._entries, []
        for entry in entries:
            logger.handle(record_of(entry))


def record_of(entry: Entry) -> logging.LogRecord:
    """Make a record by hand, since a logger looks through the stack for its caller first."""
    created, method, path, *rest, key = entry
    line, rest = (LINE, rest) if key is None else (LINE_WITH_KEY, [*rest, key])
    values = (method, path.encode("unicode_escape").decode("ascii"), *rest)
    record = logging.LogRecord(logger.name, logging.INFO, __file__, 0, line, values, None)
    record.created, record.msecs = created, 1e3 * (created % 1)
    return record
