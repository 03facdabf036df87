"""What the tests of the bundled models share."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# The models are no part of the installed packages.
sys.path.insert(0, str(ROOT))


@pytest.fixture(scope="session")
def digits_folder() -> Path:
    """The folder of the bundled model."""
    return ROOT / "models" / "digits"
