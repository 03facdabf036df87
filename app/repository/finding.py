"""What lies in a folder of models."""

import logging
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from app.errors import sendable
from app.repository.entries import Entry, Key, State
from gyoza.factors import FACTOR_NAME

logger = logging.getLogger("gyoza.repository")

MODEL_NAME = FACTOR_NAME
"""Models are named by the rule for factors."""
SUFFIX = ".keras"
VERSION_DIGITS = 18


def find_entries(folder: Path, name: str | None = None) -> dict[Key, Entry]:
    """Find versions in a folder of models, none loaded yet; a name that is impossible or clashes is refused.

    Args:
        folder: Where the models are.
        name: The model of which to find all versions; None: all models.

    Returns:
        LOADING entries, and UNAVAILABLE ones with the reason, by name and version.
    """
    entries: dict[Key, Entry] = {}
    for entry in found_in(folder, name):
        reason = entry.reason or refusal(entry, folder, twice=entry.key in entries)
        entries[entry.key] = entry if reason is None else replace(entry, state=State.UNAVAILABLE, reason=reason)
    return dict(sorted(entries.items()))


def refusal(entry: Entry, folder: Path, *, twice: bool) -> str | None:
    """Say why a version may not even be loaded, or None."""
    if not MODEL_NAME.fullmatch(entry.name):
        return f"a model's name must match {MODEL_NAME.pattern}; rename {entry.name}"
    if (folder / entry.name).is_dir() and (folder / f"{entry.name}{SUFFIX}").is_file():
        return f"both a folder {entry.name} and a loose file {entry.name}{SUFFIX} are there; rename or remove one"
    if twice:
        return f"two folders of {entry.name} are version {entry.version}; remove one"
    return None


def found_in(folder: Path, name: str | None = None) -> Iterator[Entry]:
    """Yield an entry for each version folder and each loose file, clashing, readable or not."""
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        logger.warning("The models folder %s can't be read: %s", sendable(str(folder)), error.strerror)
        return
    for path in paths:
        if name is not None and printable(path) not in {name, name + SUFFIX}:
            continue
        try:
            yield from list(versions_at(path))
        except OSError as error:
            yield from unreadable(path, error)


def versions_at(path: Path) -> Iterator[Entry]:
    """Yield the versions of one entry of the models folder, none if it is no model."""
    name = printable(path)
    if path.is_file() and path.suffix == SUFFIX:
        yield Entry(name.removesuffix(SUFFIX), 1, path)
    elif path.is_dir() and not name.startswith((".", "_")):
        yield from (Entry(name, int(child.name), child) for child in version_folders(path))


def version_folders(folder: Path) -> list[Path]:
    """Return the version folders of a model's folder."""
    found = sorted(child for child in folder.iterdir() if child.is_dir() and is_version(child.name))
    if not found:
        names = sendable(str(folder)), sendable(folder.name)
        logger.warning("%s is left aside: it holds no version folder such as %s/1", *names)
    return found


def unreadable(path: Path, error: OSError) -> Iterator[Entry]:
    """Yield an entry, as version 1, for what the system does not let us look at, unless it can't be a model."""
    logger.warning("%s can't be read: %s", sendable(str(path)), error.strerror)
    name = printable(path)
    if MODEL_NAME.fullmatch(name):  # A lost+found that only root may read is no model.
        reason = f"its folder can't be read: {error.strerror}; let the server's user read it"
        yield Entry(name, 1, path, State.UNAVAILABLE, reason)


def printable(path: Path) -> str:
    """Return a path's last part as text that can be sent and logged, whatever bytes it is made of."""
    return os.fsencode(path.name).decode("utf-8", "replace")


def is_version(text: str) -> bool:
    """Whether a text is a version: digits, of which an integer can be made cheaply."""
    return text.isascii() and text.isdecimal() and len(text) <= VERSION_DIGITS
