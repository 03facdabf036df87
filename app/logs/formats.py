"""What log lines look like, for people or for machines."""

import logging
import time
from datetime import UTC, datetime

import orjson

TEXT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
FIELDS = "fields"
"""An attribute of records: a function that returns facts by their names, for a log for machines."""
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
