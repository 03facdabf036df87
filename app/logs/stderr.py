"""Where log lines go: to standard error, unless nobody takes them there."""

import logging
import os
import select
import time
from collections.abc import Callable
from contextlib import suppress

from app.logs.turns import Turns

MORE = "more"
"""An attribute of records that is true where another one follows at once: both are written together."""
PIECE = getattr(select, "PIPE_BUF", 512)
"""So many bytes a pipe that has room takes without waiting for its reader."""
AT_ONCE_S, SAVED_S, SHARE = 0.1, 1.0, 0.1
"""So long a line waits for a slow reader and for other processes; so long all do; and after that for this share of the time."""
LOST = "%d lines of the log were lost, since they could not be written"


class StderrHandler(logging.Handler):
    """Writes lines to standard error, and lets none of them hold up the server for long, or end it.

    Where lines can't be written, since a disk is full, nobody reads a pipe that is, or a process stands still in its turn, they
    are lost; the next one that can be written comes after one that says how many were.

    Args:
        turns: When it may write; by default at any time.
        file: Where.
    """

    def __init__(self, turns: Turns | None = None, file: int = 2) -> None:
        """Write nothing yet."""
        super().__init__()
        self._turns = turns or Turns()
        self._file = file
        self._lines: list[str] = []
        self._lost = 0
        self._saved_s, self._at_once_s, self._waited = SAVED_S, AT_ONCE_S, time.monotonic()
        self._poll = select.poll() if hasattr(select, "poll") else None
        if self._poll is not None:
            self._poll.register(file, select.POLLOUT)

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, together with those that waited for it; or let it wait too."""
        try:
            self._lines.append(f"{self.format(record)}\n")
        except Exception:  # noqa: BLE001 - a bug in whoever logs, which logging tells of in its own way.
            self.handleError(record)
        if self._lines and not getattr(record, MORE, False):
            content, self._lines = "".join(self._lines), []
            self._lose(self._written(content.encode("utf-8", "backslashreplace")))

    def _lose(self, lines: bytes) -> None:
        """Count lines that could not be written."""
        self._lost += lines.count(b"\n")

    def _written(self, lines: bytes) -> bytes:
        """Write lines, after one about those that were lost before; return what can't be written of them."""
        self._at_once_s = AT_ONCE_S
        try:
            # Room comes first: whoever waits for it in its turn lets the others wait too.
            if not self._has_room() or not self._has_turn():
                return lines
            try:
                return self._written_in_turn(lines)
            finally:
                self._turns.end()
        except OSError:  # There is no turn to be had.
            return lines

    def _written_in_turn(self, lines: bytes) -> bytes:
        if self._lost and not self._pieces(f"{self.format(lost(self._lost))}\n".encode()):
            self._lost = 0
        return lines if self._lost else self._pieces(lines)

    def _pieces(self, lines: bytes) -> bytes:
        """Write lines piece by piece; return what can't be written of them."""
        was_cut = self._turns.is_cut
        rest = whole = b"\n" + lines if was_cut else lines
        with suppress(OSError):
            while rest and self._has_room():
                rest = rest[os.write(self._file, rest[:PIECE]) :]
        done = whole[: len(whole) - len(rest)]
        if done and done.endswith(b"\n") is was_cut:
            self._turns.is_cut = not was_cut
        return rest[-len(lines) :]

    def _has_room(self) -> bool:
        """Whether the next piece can be written."""
        poll = self._poll
        return poll is None or bool(poll.poll(0)) or self._comes(lambda seconds: bool(poll.poll(1e3 * seconds)))

    def _has_turn(self) -> bool:
        """Whether no other process writes."""
        return self._turns.begin() or self._comes(self._turns.begin)

    def _comes(self, wait: Callable[[float], bool]) -> bool:
        """Wait for what was not there at once; where lines were lost, it is waited for no more."""
        start = time.monotonic()
        self._saved_s = min(SAVED_S, self._saved_s + SHARE * (start - self._waited))
        found = wait(0.0 if self._lost else max(0.0, min(self._at_once_s, self._saved_s)))
        self._waited = time.monotonic()
        self._saved_s -= self._waited - start
        self._at_once_s -= self._waited - start
        return found


def lost(lines: int) -> logging.LogRecord:
    """Make the record that says how many lines were lost."""
    return logging.LogRecord("gyoza.logs", logging.WARNING, __file__, 0, LOST, (lines,), None)
