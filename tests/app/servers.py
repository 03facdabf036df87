"""Servers in processes of their own, driven as users drive them, with the tiny loader."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Timer
from typing import Any

ROOT = Path(__file__).parents[2]
SECONDS = 60


def start(
    *arguments: str, module: str = "tests.app.worlds", run: str = "serve_tiny", **options: Any
) -> subprocess.Popen[str]:
    """Start ``gyoza`` by a function of a module."""
    script = f"import sys; from {module} import {run}; {run}(sys.argv[1:])"
    command = [sys.executable, "-c", script, *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, cwd=ROOT, text=True, **{**pipes, **options})


def read_up_to(server: subprocess.Popen[str], line: str) -> None:
    """Read what a server prints up to a line; one that does not print it in time is killed."""
    assert server.stdout
    timer = Timer(SECONDS, server.kill)
    timer.start()
    try:
        assert f"{line}\n" in iter(server.stdout.readline, "")
    finally:
        timer.cancel()


@contextmanager
def serving(folder: Path, *arguments: str, **options: Any) -> Iterator[tuple[subprocess.Popen[str], str, str]]:
    """A server process of a folder on a free port, with its address and what it printed when all was loaded."""
    with start("serve", "--models-dir", str(folder), "--port", "0", *arguments, **options) as server:
        try:
            assert server.stdout
            banner = ""
            while "curl" not in banner:
                line = server.stdout.readline()
                assert line, server.communicate(timeout=SECONDS)
                banner += line
            address = re.search(r"https?://[\d.]+:\d+", banner)
            assert address
            yield server, address[0], banner
        finally:
            server.kill()
