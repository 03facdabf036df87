"""Log lines on standard error, for people or for machines; never the content of a tensor."""

import logging
import os
import select
import time
from datetime import UTC, datetime

import orjson

from app.settings import Settings

TEXT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
FIELDS = "fields"
"""An attribute of records: a function that returns facts by their names, for a log for machines."""
PATIENCE_MS = 100
"""So long a line waits for room in a pipe whose reader is slow."""
TEXT_OF_WORKERS = "%(asctime)s %(levelname)-7s [%(process)d] %(name)s: %(message)s"


class TextFormatter(logging.Formatter):
    """Writes lines for people; the text of a second, which takes longest, is made once for all of its lines."""

    _clock = (-1, "")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802 - logging's name.
        """Write local date and time to the millisecond."""
        second, text = self._clock
        if second != int(record.created):
            second = int(record.created)
            text = time.strftime(self.default_time_format, time.localtime(second))
            self._clock = second, text
        return f"{text},{int(record.msecs):03d}"


class JsonFormatter(logging.Formatter):
    """Writes one JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Write time, level, process, logger, message, the fields that the record brings, and a stack trace if there is one."""
        line: dict[str, str | int | float | None] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "process": record.process,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if fields := getattr(record, FIELDS, None):
            line |= fields()
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        # A path may hold bytes that are no text; they are shown as escapes.
        printable = {
            key: value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
            for key, value in line.items()
        }
        return orjson.dumps(printable).decode()


class StderrHandler(logging.Handler):
    """Writes lines to standard error, each as a whole, and lets none of them hold up the server for long, or end it.

    Where a line can't be written, since a disk is full or nobody reads a pipe that is, it is lost; the next one that can be
    written says how many were.

    Args:
        lock: With several processes, a file that all of them lock while they write: a pipe mixes what is longer than 4 KiB,
            as stack traces are.
        file: Where to write.
    """

    def __init__(self, lock: int | None = None, file: int = 2) -> None:
        """Write nothing yet."""
        super().__init__()
        self._lock_file = lock
        self._file = file
        self._lost = 0
        self._poll = select.poll() if hasattr(select, "poll") else None
        if self._poll is not None:
            self._poll.register(file, select.POLLOUT)

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line."""
        try:
            line = self.format(record)
        except Exception:  # noqa: BLE001 - a bug in whoever logs, which logging tells of in its own way.
            self.handleError(record)
            return
        if self._lost:
            self._put(self.format(lost_lines(self._lost)), counts=False)
        self._put(line)

    def _put(self, line: str, *, counts: bool = True) -> None:
        """Write a line, or count it as lost; one about those that were lost is no loss, and ends the count."""
        content = f"{line}\n".encode("utf-8", "backslashreplace")
        try:
            self._write(content)
        except OSError:
            self._lost += counts
        else:
            self._lost *= counts

    def _write(self, content: bytes) -> None:
        if self._lock_file is None:
            self._write_soon(content)
            return
        os.lockf(self._lock_file, os.F_LOCK, 0)
        try:
            self._write_soon(content)
        finally:
            os.lockf(self._lock_file, os.F_ULOCK, 0)

    def _write_soon(self, content: bytes) -> None:
        """Write once there is room; where there was none for the line before, wait no more."""
        if self._poll is not None and not self._poll.poll(0 if self._lost else PATIENCE_MS):
            raise BlockingIOError
        write_all(self._file, content)


def write_all(file: int, content: bytes) -> None:
    """Write bytes, in several steps where the system takes no more at once.

    Raises:
        OSError: They can't be written; part of them may be.
    """
    while content:
        content = content[os.write(file, content) :]


def lost_lines(count: int) -> logging.LogRecord:
    """Make the record that says how many lines were lost."""
    text = "%d lines of the log were lost, since they could not be written"
    return logging.LogRecord("gyoza.logs", logging.WARNING, __file__, 0, text, (count,), None)


def configure_logging(settings: Settings, lock: int | None = None) -> None:
    """Send every log line to standard error in the format that the settings choose.

    Args:
        settings: Those.
        lock: With several processes, an open file that all of them lock while they write.
    """
    handler = StderrHandler(lock)
    text = TEXT if settings.workers == 1 else TEXT_OF_WORKERS
    handler.setFormatter(JsonFormatter() if settings.log_format == "json" else TextFormatter(text))
    root = logging.getLogger()
    # Not by logging.config, which closes every handler that there is, those of others too.
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("gyoza").setLevel(settings.log_level.upper())
