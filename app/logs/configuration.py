"""How the settings want the log."""

import logging

from app.logs.formats import TEXT, TEXT_OF_WORKERS, JsonFormatter, TextFormatter
from app.logs.stderr import StderrHandler
from app.logs.turns import SharedTurns, Turns
from app.settings import Settings


def configure_logging(settings: Settings, lock: int | None = None) -> None:
    """Send every log line to standard error in the format that the settings choose.

    Args:
        settings: Those.
        lock: With several processes, an open file that is empty at first, which all of them lock while they write.
    """
    handler = StderrHandler(Turns() if lock is None else SharedTurns(lock))
    text = TEXT if settings.workers == 1 else TEXT_OF_WORKERS
    handler.setFormatter(JsonFormatter() if settings.log_format == "json" else TextFormatter(text))
    root = logging.getLogger()
    # Not by logging.config, which closes every handler that there is, those of others too.
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("gyoza").setLevel(settings.log_level.upper())
