"""Archives of Keras, read and changed as a damaged or foreign file would be."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py


def read(path: Path) -> dict[str, Any]:
    """The config of an archive."""
    with zipfile.ZipFile(path) as archive:
        config: dict[str, Any] = json.loads(archive.read("config.json"))
        return config


def rewrite(
    source: Path,
    target: Path,
    config: Callable[[dict[str, Any]], Any] = lambda config: config,
    weights: Callable[[h5py.File], object] = lambda file: None,
) -> Path:
    """Copy an archive with another config (what the function returns) and other weights (the function edits them)."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name == "config.json":
                data = json.dumps(config(json.loads(data))).encode()
            elif name == "model.weights.h5":
                buffer = io.BytesIO(data)
                with h5py.File(buffer, "a") as file:
                    weights(file)
                data = buffer.getvalue()
            new.writestr(name, data)
    return target


def edited(change: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Make a function that edits a config in place one that returns it."""

    def function(config: dict[str, Any]) -> dict[str, Any]:
        change(config)
        return config

    return function
