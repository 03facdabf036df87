"""Log lines for people and for machines."""

import json
import logging
import os

import pytest

from app.logs import configure_logging
from app.logs.formats import TEXT
from app.settings import Settings


def log_a_failure() -> None:
    """Log an error with a stack trace."""
    try:
        int("boom")
    except ValueError:
        logging.getLogger("gyoza.api").exception("request %s failed", "abc")


def test_json_lines(capfd: pytest.CaptureFixture[str]) -> None:
    """With LOG_FORMAT=json each line is an object: time, level, process, logger, message, a stack trace if any."""
    configure_logging(Settings(log_format="json"))
    logging.getLogger("gyoza.access").info("GET %s", "/livez")
    log_a_failure()
    first, second = map(json.loads, capfd.readouterr().err.splitlines())
    assert first.pop("time").endswith("+00:00")
    assert first == {"level": "info", "process": os.getpid(), "logger": "gyoza.access", "message": "GET /livez"}
    assert second["message"] == "request abc failed"
    assert "ValueError: invalid" in second["exception"]


def test_text_lines_are_as_their_format_says() -> None:
    """A line for people is what the format makes of it, whatever the second, with and without a stack trace."""
    configure_logging(Settings())
    (handler,) = logging.getLogger().handlers
    slow = logging.Formatter(TEXT)
    for created in (0.0, 0.25, 86_399.999, 1e9):
        for error in (None, (ValueError, ValueError("boom"), None)):
            record = logging.LogRecord("gyoza.access", logging.INFO, "", 0, "GET %s", ("/livez",), error)
            record.created, record.msecs = created, created % 1 * 1000
            assert handler.format(record) == slow.format(record)


def test_text_lines_from_a_level_on(capfd: pytest.CaptureFixture[str]) -> None:
    """With LOG_FORMAT=text a line is plain, and what is below LOG_LEVEL is left out."""
    configure_logging(Settings(log_level="warning"))
    logging.getLogger("gyoza.access").info("GET /livez")
    log_a_failure()
    lines = capfd.readouterr().err.splitlines()
    assert lines[0].endswith("ERROR   gyoza.api: request abc failed")
    assert lines[-1].startswith("ValueError: invalid")


def test_json_lines_of_any_text(capfd: pytest.CaptureFixture[str]) -> None:
    """A text that can't be sent as UTF-8, such as an odd path, is shown with escapes."""
    configure_logging(Settings(log_format="json"))
    logging.getLogger("gyoza").warning("odd: %s", "bad\udcff")
    assert json.loads(capfd.readouterr().err)["message"] == "odd: bad\\udcff"


def test_fields_of_a_record_stand_apart(capfd: pytest.CaptureFixture[str]) -> None:
    """What a record brings by name stands beside the message in a line for machines."""
    configure_logging(Settings(log_format="json"))
    logging.getLogger("gyoza").info("asked", extra={"fields": lambda: {"status": 200, "queue_ms": 0.5, "model": None}})
    line = json.loads(capfd.readouterr().err)
    assert (line["message"], line["status"], line["queue_ms"], line["model"]) == ("asked", 200, 0.5, None)


def test_a_line_that_cannot_be_made_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    """A bug in whoever logs is told as Python tells it, and ends nothing."""
    configure_logging(Settings())
    logging.getLogger("gyoza").info("%d", "no number")
    assert "--- Logging error ---" in capfd.readouterr().err


def test_workers_are_told_apart(capfd: pytest.CaptureFixture[str]) -> None:
    """With several workers a line of text holds the process, too."""
    configure_logging(Settings(workers=2))
    logging.getLogger("gyoza.access").info("GET /livez")
    assert capfd.readouterr().err.endswith(f"INFO    [{os.getpid()}] gyoza.access: GET /livez\n")
