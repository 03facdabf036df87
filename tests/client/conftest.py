"""Fixtures of the client's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.app.keyrings import write_keys
from tests.app.servers import serving
from tests.app.worlds import put


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models: one with factors in two versions, and one without."""
    folder = tmp_path_factory.mktemp("models")
    for version in ("1", "2"):
        put(folder, version=version)
    put(folder, "plain", text="plain")
    return folder


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The keys that the server lets in, and where their file is."""
    path = tmp_path_factory.mktemp("keys") / "admins.txt"
    return {**write_keys(path, "ada"), "path": str(path)}


@pytest.fixture(scope="module")
def address(world: Path, keys: dict[str, str]) -> Iterator[str]:
    """The address of a server process that lets admins load and unload, whose default model is the one with factors."""
    with serving(world, "--default-model", "tiny", "--repository-control", "--admin-keys-file", keys["path"]) as (
        _,
        found,
        _,
    ):
        yield found
