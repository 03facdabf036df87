"""Clients that others wrote for the Open Inference Protocol, as their packages install them, each from outside."""

import subprocess
from pathlib import Path

import pytest

from tests.clients.scripts.native import SECONDS

ROOT = Path(__file__).parents[2]
CLIENTS = ("tritonclient", "kserve", "mlserver")


@pytest.mark.clients
@pytest.mark.parametrize("client", CLIENTS)
def test_every_call_of_a_client_works(client: str, address: str) -> None:
    """The client's script makes every call that the client has, and finds the numbers of the service's own endpoints."""
    python = ROOT / "build" / "clients" / client / "bin" / "python"
    assert python.exists(), f"{python} must be an environment with {client}. Make it, and run this: make clients-test"
    command = [str(python), "-m", f"tests.clients.scripts.{client}", address]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=3 * SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr
