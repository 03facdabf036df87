"""The ``.keras`` archive: its config, read without deserialising anything, and copies of it with another config."""

import io
import json
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import h5py

from gyoza.loading.errors import LoadError, reason

__all__ = ["open_weights", "read_config", "rewritten"]

CONFIG = "config.json"
"""The member that names the classes."""
WEIGHTS = "model.weights.h5"
"""The member that holds the weights."""


def read_config(path: Path) -> dict[str, Any]:
    """Read the config of a ``.keras`` archive without deserialising anything.

    Args:
        path: The file.

    Returns:
        The config.

    Raises:
        LoadError: There is no such file, or it is no such archive, or damaged.
    """
    if path.suffix != ".keras":  # Keras reads other endings by other readers, which would see another content.
        raise LoadError(f"{path.name} must be a .keras file. Received: the ending {path.suffix!r}")
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()  # Keras does not look whether all weights are those that were saved.
            config = json.loads(archive.read(CONFIG)) if damaged is None else {}
    except FileNotFoundError as error:
        raise LoadError(f"{path.name} does not exist") from error
    except (zipfile.BadZipFile, zlib.error, KeyError, ValueError, RuntimeError, EOFError, OSError) as error:
        raise LoadError(
            f"{path.name} must be a .keras archive as written by model.save(), whole; it can't be read: "
            f"{reason(error)}. Copy it again, or save the model anew"
        ) from error
    if damaged is not None:
        raise LoadError(
            f"{path.name} is damaged: its member {damaged} is not as it was saved. Copy it again, or save the model anew"
        )
    if not isinstance(config, dict):
        raise LoadError(f"{path.name} must hold a config that is a JSON object. Received: {type(config).__name__}")
    return config


@contextmanager
def rewritten(path: Path, config: Mapping[str, Any]) -> Iterator[Path]:
    """Give a copy of an archive, of the same name, with another config; it is gone afterwards."""
    with TemporaryDirectory() as folder, zipfile.ZipFile(path) as source:
        copy = Path(folder) / path.name
        with zipfile.ZipFile(copy, "w") as target:
            for member in source.infolist():
                target.writestr(member, json.dumps(config) if member.filename == CONFIG else source.read(member))
        yield copy


@contextmanager
def open_weights(path: Path) -> Iterator[h5py.File]:
    """Open the weights of a ``.keras`` or a ``.weights.h5`` file.

    Raises:
        OSError: They can't be read.
        KeyError: The archive holds none.
    """
    if path.suffix != ".keras":
        with h5py.File(path) as file:
            yield file
        return
    with zipfile.ZipFile(path) as archive, h5py.File(io.BytesIO(archive.read(WEIGHTS))) as file:
        yield file
