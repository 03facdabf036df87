"""Log lines for people and for machines."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from app.logs import TEXT, StderrHandler, configure_logging
from app.settings import Settings
from tests.app.servers import ROOT, SECONDS, serving
from tests.app.worlds import LATENTS


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


@pytest.mark.parametrize("locked", [False, True])
def test_lines_that_nobody_takes_are_counted(tmp_path: Path, locked: bool) -> None:
    """Lines for a pipe that is full are lost at once; when there is room again, the next line follows how many were."""
    read, write = os.pipe()
    with (tmp_path / "lock").open("wb") as lock, os.fdopen(read, encoding="utf-8") as lines:
        handler = StderrHandler(lock.fileno() if locked else None, write)
        handler.setFormatter(logging.Formatter("%(message)s"))
        os.set_blocking(write, False)
        while True:
            try:
                os.write(write, b"x" * 4095 + b"\n")
            except BlockingIOError:
                break
        os.set_blocking(write, True)
        for number in range(3):
            handler.emit(logging.makeLogRecord({"msg": f"lost {number}"}))
        for _ in range(10):
            assert lines.readline() == "x" * 4095 + "\n"
        handler.emit(logging.makeLogRecord({"msg": "kept"}))
        handler.emit(logging.makeLogRecord({"msg": "kept, too"}))
        os.close(write)
        found = [line for line in lines if not line.startswith("x")]
    assert found == ["3 lines of the log were lost, since they could not be written\n", "kept\n", "kept, too\n"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("workers", [1, 2])
def test_a_full_disk_fails_no_request(folder: Path, workers: int) -> None:
    """A server whose log can't be written answers every request, ends when it is asked to, and with the code 0."""
    with (
        Path("/dev/full").open("wb") as full,
        serving(folder, "--workers", str(workers), stderr=full) as (server, address, _),
        httpx.Client(base_url=address, timeout=SECONDS) as client,
    ):
        for _ in range(50):
            assert client.post("/encode", json={"latents": LATENTS}).status_code == 200
            assert client.get("/nope").status_code == 404
        server.terminate()
        assert server.wait(SECONDS) == 0


def test_workers_are_told_apart(capfd: pytest.CaptureFixture[str]) -> None:
    """With several workers a line of text holds the process, too."""
    configure_logging(Settings(workers=2))
    logging.getLogger("gyoza.access").info("GET /livez")
    assert capfd.readouterr().err.endswith(f"INFO    [{os.getpid()}] gyoza.access: GET /livez\n")


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
