"""The models of a folder: models/<name>/<version> → Model, state, reason."""

import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from app.errors import NotFound, NotReady, UnloadableModel, sendable
from app.model import Loader, Model, load, load_with_keras
from gyoza.factors import FACTOR_NAME

logger = logging.getLogger("gyoza.repository")

MODEL_NAME = FACTOR_NAME
"""Models are named by the rule for factors."""
WARM_UP_ROWS = (1, 4, 16, 64, 256)
LOADING_RETRY_S = 2
UNAVAILABLE_RETRY_S = 60
VERSION_DIGITS = 18


class State(StrEnum):
    """Whether a version can be asked."""

    LOADING = "LOADING"
    READY = "READY"
    UNAVAILABLE = "UNAVAILABLE"


@dataclass(frozen=True, eq=False)
class Entry:
    """One version of one model, as found in the folder."""

    name: str
    version: int
    path: Path
    state: State = State.LOADING
    reason: str | None = None
    model: Model | None = None


class Repository:
    """The models of one folder. Threads may share it: an entry is replaced, never changed.

    Args:
        folder: Where the models are.
        default: The model that a request without a name means; None: the only READY one.
        loader: Path and golden vectors to a flow; by default the library's, which needs Keras.
        max_batch_rows: The largest pass that is warmed up.
    """

    def __init__(
        self, folder: Path, default: str | None = None, loader: Loader = load_with_keras, max_batch_rows: int = 1024
    ) -> None:
        """Find the models; load none."""
        self.folder = folder
        self._default = default
        self._loader = loader
        self._warm_up_rows = [*(rows for rows in WARM_UP_ROWS if rows < max_batch_rows), max_batch_rows]
        self._entries = find_entries(folder)
        # What requests ask for again and again, until an entry changes: that makes another mapping of all.
        self._found_in: Mapping[tuple[str, int], Entry] = {}
        self._found: dict[tuple[str | None, str | None], tuple[Entry, Model]] = {}
        self.closed = False

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Every version found, by name and version."""
        return tuple(self._entries.values())

    @property
    def names(self) -> list[str]:
        """Every model found."""
        return sorted({entry.name for entry in self.entries})

    def is_ready(self, *, strict: bool) -> bool:
        """Whether all versions found are READY (strict), or at least one is; no model at all is not ready."""
        ready = [entry.state is State.READY for entry in self.entries]
        return any(ready) and (all(ready) or not strict)

    def versions(self, name: str) -> list[Entry]:
        """Return the versions of a model, the lowest first.

        Raises:
            NotFound: There is no such model.
        """
        found = [entry for entry in self.entries if entry.name == name]
        if not found:
            raise NotFound(f"There is no model {name!r}. {self._existing()}")
        return found

    def find(self, name: str | None = None, version: str | None = None) -> Entry:
        """Return the entry that a path means, whatever its state.

        Args:
            name: The model; None: the default one.
            version: Digits; None: the highest READY version, else the highest.

        Raises:
            NotFound: There is no such model or version, or no default model.
            NotReady: There is no default model yet, but some are loading.
        """
        entries = self.versions(self._default_name() if name is None else name)
        if version is None:
            return next((entry for entry in reversed(entries) if entry.state is State.READY), entries[-1])
        for entry in entries:
            if is_version(version) and int(version) == entry.version:
                return entry
        numbers = ", ".join(str(entry.version) for entry in entries)
        raise NotFound(
            f"There is no version {version!r} of {entries[0].name}. Versions that exist: {numbers}. Name one of them, or "
            "none for the highest that is READY."
        )

    def ready(self, name: str | None = None, version: str | None = None) -> tuple[Entry, Model]:
        """Return the entry that a path means, and its model.

        Raises:
            NotFound: As for ``find``.
            NotReady: It is not READY.
        """
        if self._found_in is not self._entries:
            self._found, self._found_in = {}, self._entries
        found = self._found.get((name, version))
        if found is None:
            entry = self.find(name, version)
            found = entry, self.model(entry.name, entry.version)
            self._found[name, version] = found
        return found

    def model(self, name: str, version: int) -> Model:
        """Return the model of an entry that exists.

        Raises:
            NotReady: It is not READY.
        """
        entry = self._entries[name, version]
        if entry.model is not None:
            return entry.model
        title = f"Version {entry.version} of {entry.name}"
        if entry.state is State.LOADING:
            raise NotReady(f"{title} is still loading. Try again in a moment.", LOADING_RETRY_S)
        raise NotReady(
            f"{title} is UNAVAILABLE: {entry.reason}. Whoever runs the server must mend its files and restart.",
            UNAVAILABLE_RETRY_S,
        )

    def load_all(self) -> None:
        """Load every version that is LOADING, one after the other; a bad one stops none of the others."""
        for key, entry in self._entries.items():
            if entry.state is State.LOADING and not self.closed:
                self._entries = {**self._entries, key: self._load(entry)}

    def close(self) -> None:
        """Load nothing more."""
        self.closed = True

    def _default_name(self) -> str:
        if self._default is not None:
            return self._default
        ready = sorted({entry.name for entry in self.entries if entry.state is State.READY})
        if len(ready) == 1:
            return ready[0]
        if any(entry.state is State.LOADING for entry in self.entries):
            raise NotReady("There is no default model yet: some are still loading. Try again.", LOADING_RETRY_S)
        raise NotFound(
            f"There is no default model: GYOZA_DEFAULT_MODEL is not set, and {len(ready)} models are READY, not one. "
            f"Ask below /models/<name> instead. {self._existing()}"
        )

    def _existing(self) -> str:
        if not self.names:
            return "Models that exist: none. Put one into the folder of GYOZA_MODELS_DIR and restart the server."
        return f"Models that exist: {', '.join(self.names)}. Name one of them."

    def _load(self, entry: Entry) -> Entry:
        try:
            model = load(entry.path, self._loader, self._warm_up_rows)
        except UnloadableModel as error:
            logger.warning(
                "%s version %d is UNAVAILABLE: %s", sendable(entry.name), entry.version, sendable(str(error))
            )
            return replace(entry, state=State.UNAVAILABLE, reason=sendable(str(error)))
        except Exception as error:
            logger.exception("%s version %d is UNAVAILABLE", sendable(entry.name), entry.version)
            return replace(entry, state=State.UNAVAILABLE, reason=sendable(f"{type(error).__name__}: {error}"))
        logger.info("%s version %d is READY", entry.name, entry.version)
        return replace(entry, state=State.READY, model=model)


def find_entries(folder: Path) -> dict[tuple[str, int], Entry]:
    """Find every version in a folder of models, none loaded yet; a name that is impossible or clashes is refused."""
    entries: dict[tuple[str, int], Entry] = {}
    for entry in found_in(folder):
        key = (entry.name, entry.version)
        reason = entry.reason or refusal(entry, folder, twice=key in entries)
        entries[key] = entry if reason is None else replace(entry, state=State.UNAVAILABLE, reason=reason)
    return dict(sorted(entries.items()))


def refusal(entry: Entry, folder: Path, *, twice: bool) -> str | None:
    """Say why a version may not even be loaded, or None."""
    if not MODEL_NAME.fullmatch(entry.name):
        return f"a model's name must match {MODEL_NAME.pattern}; rename {entry.name}"
    if (folder / entry.name).is_dir() and (folder / f"{entry.name}.keras").is_file():
        return f"both a folder {entry.name} and a loose file {entry.name}.keras are there; rename or remove one"
    if twice:
        return f"two folders of {entry.name} are version {entry.version}; remove one"
    return None


def found_in(folder: Path) -> Iterator[Entry]:
    """Yield an entry for each version folder and each loose file, clashing, readable or not."""
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        logger.warning("The models folder %s can't be read: %s", sendable(str(folder)), error.strerror)
        return
    for path in paths:
        try:
            yield from list(versions_at(path))
        except OSError as error:
            yield from unreadable(path, error)


def versions_at(path: Path) -> Iterator[Entry]:
    """Yield the versions of one entry of the models folder, none if it is no model."""
    name = printable(path)
    if path.is_file() and path.suffix == ".keras":
        yield Entry(name.removesuffix(".keras"), 1, path)
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
