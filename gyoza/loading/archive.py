"""The ``.keras`` archive: a private copy, its config, read without deserialising anything, and copies with another one.

All that is looked at is the copy, which nobody changes: what was checked and digested is what Keras reads.
"""

import hashlib
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

import h5py

from gyoza.inference.files.content import LARGEST_FILE, open_regular
from gyoza.inference.files.depth import is_nested_within
from gyoza.loading.errors import LoadError, reason
from gyoza.loading.members import CONFIG, WEIGHTS, check_directory, check_members

__all__ = ["Archive", "copy_of", "open_archive", "open_weights", "read_config", "rewritten", "unreadable"]

DEEPEST = 100
"""Levels of a config: a layer takes four, and flows in flows, or networks in networks, are nested some few times."""
UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    KeyError,
    ValueError,
    ArithmeticError,
    RuntimeError,
    EOFError,
    OSError,
)
"""What reading something that is no archive may raise."""
CHUNK = 2**20
"""Bytes that are copied at once."""


@dataclass(frozen=True, eq=False)
class Archive:
    """A ``.keras`` file of which nothing was deserialised yet."""

    path: Path
    """A private copy, of the file's name."""
    digest: str
    """The SHA-256 of its bytes, in hexadecimal."""
    config: dict[str, Any]


def read_config(path: Path) -> dict[str, Any]:
    """Read the config of a ``.keras`` archive without deserialising anything.

    Args:
        path: The file.

    Returns:
        The config.

    Raises:
        LoadError: There is no such file, or it is no such archive, or damaged, or larger than such a one may be.
    """
    with open_archive(path, assets=True) as archive:
        return archive.config


@contextmanager
def open_archive(path: Path, *, assets: bool = False) -> Iterator[Archive]:
    """Copy a ``.keras`` archive to where nobody changes it, and read its config; the copy is gone afterwards.

    Args:
        path: The file.
        assets: Whether it may hold files that layers wrote beside their weights.

    Raises:
        LoadError: As for ``read_config``, or there is no room for the copy.
    """
    if path.suffix != ".keras":  # Keras reads other endings by other readers, which would see another content.
        raise LoadError(f"{path.name} must be a .keras file. Received: the ending {path.suffix!r}")
    with copy_of(path) as (copy, digest):
        yield Archive(copy, digest, config_of(copy, assets=assets))


@contextmanager
def copy_of(path: Path) -> Iterator[tuple[Path, str]]:
    """Copy a file to where nobody changes it; the copy is gone afterwards.

    Args:
        path: The file.

    Yields:
        The copy, of the same name, and the SHA-256 of its bytes.

    Raises:
        LoadError: There is no such file, it is too large, or there is no room for the copy.
    """
    with opened(path) as source, a_folder(path.name) as folder:
        copy = folder / path.name
        yield copy, copied(source, copy)


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file to be read, or say why that can't be."""
    try:
        file = open_regular(path)
    except FileNotFoundError as error:
        raise LoadError(f"{path.name} does not exist") from error
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error
    with file:
        yield file


@contextmanager
def a_folder(name: str) -> Iterator[Path]:
    """Make a folder that only this process's user can look into, and remove it afterwards."""
    try:
        made = TemporaryDirectory(prefix="gyoza-")
    except OSError as error:
        raise no_room(name, error) from error
    with made as folder:
        yield Path(folder)


def copied(source: BinaryIO, copy: Path) -> str:
    """Copy a file and return the SHA-256 of what was copied.

    Raises:
        LoadError: There is no room for it, or somebody writes more to it than a file may hold.
    """
    digest = hashlib.sha256()
    left = LARGEST_FILE
    try:
        with copy.open("wb") as target:
            while chunk := source.read(CHUNK):
                left -= len(chunk)
                if left < 0:
                    raise LoadError(
                        f"{copy.name} grew beyond {LARGEST_FILE:,} bytes while it was read; write it elsewhere"
                    )
                digest.update(chunk)
                target.write(chunk)
    except OSError as error:
        raise no_room(copy.name, error) from error
    return digest.hexdigest()


def no_room(name: str, error: OSError) -> LoadError:
    """Say that a file could not be copied."""
    return LoadError(
        f"{name} is copied before it is loaded, into the folder for temporary files, which can't be done: "
        f"{error.strerror}. Make room there, or name another folder by the environment variable TMPDIR"
    )


def unreadable(path: Path, error: Exception) -> LoadError:
    """Say that a file is no archive of Keras, or no file of weights, by its ending."""
    kind, writer, what = (
        (".keras archive", "model.save", "model") if path.suffix == ".keras" else ("file", "save_weights", "weights")
    )
    return LoadError(
        f"{path.name} must be a {kind} as written by {writer}(), whole; it can't be read: {reason(error)}. Copy it again, "
        f"or save the {what} anew"
    )


def config_of(path: Path, *, assets: bool) -> dict[str, Any]:
    """Check an archive as a whole and return its config; for arguments and errors see ``open_archive``."""
    try:
        with path.open("rb") as file:
            check_directory(file)
            with zipfile.ZipFile(file) as archive:
                check_members(archive, assets=assets)
                damaged = archive.testzip()  # Keras does not look whether all weights are those that were saved.
                config = json.loads(archive.read(CONFIG)) if damaged is None else {}
    except RecursionError as error:
        raise too_deep(path) from error
    except UNREADABLE as error:
        raise unreadable(path, error) from error
    if damaged is not None:
        raise LoadError(
            f"{path.name} is damaged: its member {damaged} is not as it was saved. Copy it again, or save the model anew"
        )
    if not isinstance(config, dict):
        raise LoadError(f"{path.name} must hold a config that is a JSON object. Received: {type(config).__name__}")
    if not is_nested_within(config, DEEPEST):
        raise too_deep(path)
    return config


def too_deep(path: Path) -> LoadError:
    """Say that a config is nested too deeply."""
    return LoadError(
        f"{path.name} can't be loaded: its config is nested too deeply to be a model's, which is at most {DEEPEST} levels "
        "deep; save the model anew"
    )


@contextmanager
def rewritten(path: Path, config: Mapping[str, Any]) -> Iterator[Path]:
    """Give a copy of an archive, of the same name, with another config; it is gone afterwards."""
    with a_folder(path.name) as folder:
        copy = folder / path.name
        try:
            rewrite(path, copy, json.dumps(config))
        except OSError as error:
            raise no_room(path.name, error) from error
        yield copy


def rewrite(path: Path, copy: Path, config: str) -> None:
    """Copy an archive with another config."""
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(copy, "w") as target:
        for member in source.infolist():
            target.writestr(member, config if member.filename == CONFIG else source.read(member))


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
