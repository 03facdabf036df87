"""Fixtures of the service's tests."""

import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from app import main
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


@pytest.fixture(autouse=True)
def _restore_logging() -> Iterator[None]:
    """Give the root logger its handlers back."""
    root, gyoza = logging.getLogger(), logging.getLogger("gyoza")
    handlers, levels = root.handlers[:], (root.level, gyoza.level)
    yield
    root.handlers[:] = handlers
    # By their methods: loggers remember which levels they let through.
    for logger, level in zip((root, gyoza), levels, strict=True):
        logger.setLevel(level)


@pytest.fixture(autouse=True)
def _leave_garbage() -> Iterator[None]:
    """Look for no garbage when an application has loaded its models: beside Keras that takes longer than most tests.

    Servers in processes of their own do look for it.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(main, "tidy", lambda *, thoroughly: None)
        yield
