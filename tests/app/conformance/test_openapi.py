"""The service does what its OpenAPI document says, whatever is sent."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.app.keyrings import write_keys
from tests.app.servers import serving
from tests.app.worlds import put, put_halves

CONFIG = Path(__file__).with_name("schemathesis.toml")
SECONDS = 240
EXAMPLES = 8


@pytest.mark.parametrize("keys", [False, True])
def test_every_answer_is_as_documented(tmp_path: Path, keys: bool) -> None:
    """Hundreds of requests, by the document and against it: no 5xx, and no status, header or body that it does not name."""
    put_halves(put(tmp_path / "models", manifest="[[factors]]\nname='a'\nsize=1\n[[factors]]\nname='b'\nsize=3\n"))
    key = write_keys(tmp_path / "keys", "web")["web"]
    options = ["--api-keys-file", str(tmp_path / "keys")] if keys else []
    with serving(tmp_path / "models", *options, stderr=subprocess.DEVNULL) as (_, url, _):
        found = conformance(f"{url}/openapi.json", tmp_path, key)
    assert found.returncode == 0, found.stdout
    passed = re.search(r"generated, (\d+) passed", found.stdout)
    assert passed, found.stdout
    assert int(passed[1]) > 400


def conformance(document: str, folder: Path, key: str) -> subprocess.CompletedProcess[str]:
    """Run every check of schemathesis over a document, in a folder of its own; the same requests each time."""
    program = str(Path(sys.executable).with_name("schemathesis"))
    command = [program, "--config-file", str(CONFIG), "run", document, "--checks", "all", "--seed", "1", "--no-color"]
    command += ["--max-examples", str(EXAMPLES), "--generation-database", "none"]
    variables = {**os.environ, "KEY": key}
    return subprocess.run(
        command, cwd=folder, env=variables, text=True, capture_output=True, timeout=SECONDS, check=False
    )
