"""Log lines on standard error, for people or for machines; never the content of a tensor."""

import logging
import time
from datetime import UTC, datetime

import orjson

from app.settings import Settings

TEXT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"


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
        """Write time, level, logger, message, and the stack trace if there is one."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        # A path may hold bytes that are no text; they are shown as escapes.
        printable = {key: value.encode("utf-8", "backslashreplace").decode() for key, value in line.items()}
        return orjson.dumps(printable).decode()


def configure_logging(settings: Settings) -> None:
    """Send every log line to standard error in the format that the settings choose."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if settings.log_format == "json" else TextFormatter(TEXT))
    root = logging.getLogger()
    # Not by logging.config, which closes every handler that there is, those of others too.
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("gyoza").setLevel(settings.log_level.upper())
