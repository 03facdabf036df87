"""Importing the client."""

import json
import subprocess
import sys

HEAVY = ("keras", "tensorflow", "jax", "torch", "fastapi", "starlette", "pydantic", "uvicorn", "app")


def test_it_is_light() -> None:
    """Neither Keras nor a backend nor the service's own code and framework are loaded, nor the rest of the library."""
    code = "import sys, json, gyoza.client; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = json.loads(done.stdout)
    assert not [name for name in loaded if name.partition(".")[0] in HEAVY]
    assert {name for name in loaded if name.startswith("gyoza.") and not name.startswith("gyoza.client")} == {
        "gyoza.factors"
    }
