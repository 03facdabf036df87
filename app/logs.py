"""Log lines on standard error, for people or for machines; never the content of a tensor."""

import logging
import os
import time
from datetime import UTC, datetime
from typing import TextIO

import orjson

from app.settings import Settings

TEXT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
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
        """Write time, level, process, logger, message, and the stack trace if there is one."""
        line: dict[str, str | int | None] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "process": record.process,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        # A path may hold bytes that are no text; they are shown as escapes.
        printable = {
            key: value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
            for key, value in line.items()
        }
        return orjson.dumps(printable).decode()


class SharedHandler(logging.StreamHandler[TextIO]):
    """Writes to standard error one line after the other, while other processes write there too.

    Args:
        lock: A file that all of them lock while they write: a pipe mixes what is longer than 4 KiB, as stack traces are.
    """

    def __init__(self, lock: int) -> None:
        """Remember the file."""
        super().__init__()
        self._lock_file = lock

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line as a whole."""
        os.lockf(self._lock_file, os.F_LOCK, 0)
        try:
            super().emit(record)
        finally:
            os.lockf(self._lock_file, os.F_ULOCK, 0)


def configure_logging(settings: Settings, lock: int | None = None) -> None:
    """Send every log line to standard error in the format that the settings choose.

    Args:
        settings: Those.
        lock: With several processes, an open file that all of them lock while they write.
    """
    handler = logging.StreamHandler() if lock is None else SharedHandler(lock)
    text = TEXT if settings.workers == 1 else TEXT_OF_WORKERS
    handler.setFormatter(JsonFormatter() if settings.log_format == "json" else TextFormatter(text))
    root = logging.getLogger()
    # Not by logging.config, which closes every handler that there is, those of others too.
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("gyoza").setLevel(settings.log_level.upper())
