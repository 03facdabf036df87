"""A server of the bundled models for clients in environments of their own, whose scripts are no tests by themselves."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.scripts.native import SECONDS

ROOT = Path(__file__).parents[2]
GYOZA = str(Path(sys.executable).with_name("gyoza"))
collect_ignore = ["scripts"]


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The ``host:port`` of a server process, which must end well and have met no bug."""
    log = tmp_path_factory.mktemp("server") / "log"
    command = [GYOZA, "serve", "--port", "0", "--models-dir", str(ROOT / "models")]
    with log.open("w") as file, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=file, text=True) as server:
        try:
            assert server.stdout
            banners = (re.match(r"Serving on http://(\S+)", line) for line in server.stdout)
            banner = next(filter(None, banners), None)
            assert banner, log.read_text()
            yield banner[1]
        finally:
            server.terminate()
            server.communicate(timeout=SECONDS)
    assert server.returncode == 0, log.read_text()
    assert "Traceback" not in log.read_text()
