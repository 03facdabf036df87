"""Fixtures of the service's tests."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.app.worlds import app_of, client_of, put


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of models with one model in it."""
    put(tmp_path)
    return tmp_path


@pytest.fixture
async def client(folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an application that serves the one model."""
    async with client_of(app_of(folder)) as found:
        yield found
