"""Log lines for people and for machines."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.logs import TEXT, configure_logging
from app.settings import Settings

ROOT = Path(__file__).parents[2]


def log_a_failure() -> None:
    """Log an error with a stack trace."""
    try:
        int("boom")
    except ValueError:
        logging.getLogger("gyoza.api").exception("request %s failed", "abc")


def test_json_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """With LOG_FORMAT=json each line is an object: time, level, process, logger, message, a stack trace if any."""
    configure_logging(Settings(log_format="json"))
    logging.getLogger("gyoza.access").info("GET %s", "/livez")
    log_a_failure()
    first, second = map(json.loads, capsys.readouterr().err.splitlines())
    assert first.pop("time").endswith("+00:00")
    assert first == {"level": "info", "process": os.getpid(), "logger": "gyoza.access", "message": "GET /livez"}
    assert second["message"] == "request abc failed"
    assert "ValueError: invalid" in second["exception"]


def test_text_lines_are_as_their_format_says(capsys: pytest.CaptureFixture[str]) -> None:
    """A line for people is what the format makes of it, whatever the second, with and without a stack trace."""
    configure_logging(Settings())
    (handler,) = logging.getLogger().handlers
    slow = logging.Formatter(TEXT)
    for created in (0.0, 0.25, 86_399.999, 1e9):
        for error in (None, (ValueError, ValueError("boom"), None)):
            record = logging.LogRecord("gyoza.access", logging.INFO, "", 0, "GET %s", ("/livez",), error)
            record.created, record.msecs = created, created % 1 * 1000
            assert handler.format(record) == slow.format(record)


def test_text_lines_from_a_level_on(capsys: pytest.CaptureFixture[str]) -> None:
    """With LOG_FORMAT=text a line is plain, and what is below LOG_LEVEL is left out."""
    configure_logging(Settings(log_level="warning"))
    logging.getLogger("gyoza.access").info("GET /livez")
    log_a_failure()
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].endswith("ERROR   gyoza.api: request abc failed")
    assert lines[-1].startswith("ValueError: invalid")


def test_json_lines_of_any_text(capsys: pytest.CaptureFixture[str]) -> None:
    """A text that can't be sent as UTF-8, such as an odd path, is shown with escapes."""
    configure_logging(Settings(log_format="json"))
    logging.getLogger("gyoza").warning("odd: %s", "bad\udcff")
    assert json.loads(capsys.readouterr().err)["message"] == "odd: bad\\udcff"


def test_workers_are_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    """With several workers a line of text holds the process, too."""
    configure_logging(Settings(workers=2))
    logging.getLogger("gyoza.access").info("GET /livez")
    assert capsys.readouterr().err.endswith(f"INFO    [{os.getpid()}] gyoza.access: GET /livez\n")


LOG = """
import logging, sys
from app.logs import configure_logging
from app.settings import Settings
configure_logging(Settings(), int(sys.argv[1]))
for _ in range(20):
    logging.getLogger("gyoza").info(sys.argv[2] * 100_000)
"""


def test_lines_of_several_processes_stay_whole(tmp_path: Path) -> None:
    """Lines of any length that several processes write to one pipe at once do not mix."""
    read, write = os.pipe()
    with (tmp_path / "lock").open("wb") as lock:
        command = [sys.executable, "-c", LOG, str(lock.fileno())]
        processes = [
            subprocess.Popen([*command, letter], cwd=ROOT, stderr=write, pass_fds=[lock.fileno()]) for letter in "ab"
        ]
        os.close(write)
        with os.fdopen(read, encoding="utf-8") as lines:
            found = {line.partition("gyoza: ")[2] for line in lines}
    assert [process.wait() for process in processes] == [0, 0]
    assert found == {f"{letter * 100_000}\n" for letter in "ab"}
