"""The models of one folder, loaded, loaded anew, and unloaded."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Lock

from app.errors import Conflict, NotFound, UnloadableModel, sendable
from app.halves import HalfLoader, load_half_with_keras
from app.model import Loader, Model, is_unchanged, load, load_with_keras
from app.primitives import limited, warm_up_rows
from app.repository.catalogue import Catalogue
from app.repository.entries import UNLOADED, Entry, Key, Known, State
from app.repository.finding import find_entries

logger = logging.getLogger("gyoza.repository")


class Repository:
    """The models of one folder. Threads may share it: entries are replaced, never changed.

    Args:
        folder: Where the models are.
        default: The model that a request without a name means; None: the only READY one.
        loader: Path and golden vectors to a flow; by default the library's, which needs Keras.
        max_batch_rows: The largest pass that is warmed up.
        known: What others serve already: what is not in it is left aside until it is asked for; None: there are no others.
        half_loader: Path to a half of the network beside a flow; by default the library's.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - all but the first have defaults
        self,
        folder: Path,
        default: str | None = None,
        loader: Loader = load_with_keras,
        max_batch_rows: int = 1024,
        known: Mapping[Key, Known] | None = None,
        half_loader: HalfLoader = load_half_with_keras,
    ) -> None:
        """Find the models; load none."""
        self.folder = folder
        self._default = default
        self._load_model = partial(load, loader=loader, half_loader=half_loader)
        self._warm_up_rows = warm_up_rows(max_batch_rows)
        found = find_entries(folder)
        self._catalogue = Catalogue(found if known is None else dict(as_known(found, known)), default)
        self._loading = Lock()
        self.closed = False
        if default is not None and default not in self.names:
            names = ", ".join(map(sendable, self.names)) or "none"
            logger.warning(
                "the default model %s is not in the folder of models; those that are: %s", sendable(default), names
            )

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Every version found, by name and version."""
        return tuple(self._catalogue.entries.values())

    @property
    def names(self) -> list[str]:
        """Every model found."""
        return self._catalogue.names

    def is_ready(self, *, strict: bool) -> bool:
        """Whether all versions that are awaited are READY (strict), or at least one is; no model at all is not ready.

        Awaited is what was found at the start. A version that was unloaded, or that came later and can't be loaded, keeps no
        server from serving the others.
        """
        return self._catalogue.is_ready(strict=strict)

    def versions(self, name: str) -> list[Entry]:
        """Return the versions of a model, the lowest first.

        Raises:
            NotFound: There is no such model.
        """
        return self._catalogue.versions(name)

    def find(self, name: str | None = None, version: str | None = None) -> Entry:
        """Return the entry that a path means, whatever its state.

        Args:
            name: The model; None: the default one.
            version: Digits; None: the highest READY version, else the highest.

        Raises:
            NotFound: There is no such model or version, or no default model.
            NotReady: There is no default model yet, but some are loading.
        """
        return self._catalogue.find(name, version)

    def ready(self, name: str | None = None, version: str | None = None) -> tuple[Entry, Model]:
        """Return the entry that a path means, and its model.

        Raises:
            NotFound: As for ``find``.
            NotReady: It is not READY.
        """
        return self._catalogue.ready(name, version)

    def load_all(self) -> None:
        """Load every version that is LOADING, one after the other; a bad one stops none of the others."""
        with self._loading:
            for key, entry in self._catalogue.entries.items():
                if entry.state is State.LOADING and not self.closed:
                    self._put({**self._catalogue.entries, key: self._renewed(entry, entry)})

    def load(self, name: str) -> None:
        """Load the versions of a model that are new or another one than before; those whose files are gone go too.

        What is READY serves until all of them are loaded, and goes on where its new files can't be.

        Raises:
            NotFound: There is no such model in the folder.
            Conflict: A version can't be loaded; all others are, and its reason is listed.
        """
        with self._loading:
            known = {entry.key: entry for entry in self.entries if entry.name == name}
            found = find_entries(self.folder, name)
            if not found:
                raise self._gone(name, known)
            self._replace(name, {**known, **{key: begun(entry, known.get(key)) for key, entry in found.items()}})
            renewed = {key: self._renewed(entry, known.get(key)) for key, entry in found.items()}
            faults = {key: entry for key, entry in renewed.items() if entry.reason is not None}
            # A folder that can't be read, or clashes, does not tell which versions are gone.
            is_unclear = any(entry.reason is not None for entry in found.values())
            kept = {key: entry for key, entry in known.items() if entry.model is not None and is_unclear}
            self._replace(name, {**kept, **renewed})
        if faults:
            raise Conflict(told(faults))

    def unload(self, name: str) -> None:
        """Serve no version of a model any more. Requests that have found it keep it until they are answered.

        Raises:
            NotFound: There is no such model.
        """
        with self._loading:
            self._replace(name, {entry.key: without_model(entry) for entry in self.versions(name)})
        logger.info("%s is unloaded", sendable(name))

    def close(self) -> None:
        """Load nothing more."""
        self.closed = True

    def _put(self, entries: Mapping[Key, Entry]) -> None:
        self._catalogue = Catalogue(entries, self._default)

    def _replace(self, name: str, entries: Mapping[Key, Entry]) -> None:
        """Put entries in the place of all of one model, at once."""
        others = {entry.key: entry for entry in self.entries if entry.name != name}
        self._put({**others, **entries})

    def _gone(self, name: str, known: Mapping[Key, Entry]) -> NotFound | Conflict:
        """Forget what can't be asked of a model that has no files any more, and say what is the matter."""
        served = {key: entry for key, entry in known.items() if entry.model}
        self._replace(name, served)
        if served:
            return Conflict(
                f"{name} must lie in the folder of GYOZA_MODELS_DIR, and no version of it does; those that were loaded still "
                "serve. Put its files back, or unload it."
            )
        return NotFound(f"There is no model {name!r} in the folder of GYOZA_MODELS_DIR. Put it there first.")

    def _renewed(self, found: Entry, known: Entry | None) -> Entry:
        """Return what takes the place of an entry that is known, if there is one, once the files found are loaded."""
        if known is None or known.model is None:
            loaded = self._load(found)
            return replace(loaded, is_awaited=loaded.model is not None or (known is not None and known.is_awaited))
        if found.reason is None and is_unchanged(found.path, known.model):
            return replace(known, path=found.path, reason=None)
        loaded = self._load(found)
        if loaded.model is not None:
            return loaded
        return replace(known, reason=f"serves the files of its former load, since the last one failed: {loaded.reason}")

    def _load(self, entry: Entry) -> Entry:
        """Return an entry as it is once it is loaded, or can't be; one that was refused stays so."""
        if entry.reason is not None:
            return entry
        try:
            model = self._load_model(entry.path, warm_up_rows=self._warm_up_rows)
        except UnloadableModel as error:
            logger.warning(
                "%s version %d can't be loaded: %s", sendable(entry.name), entry.version, sendable(str(error))
            )
            return replace(entry, state=State.UNAVAILABLE, reason=sendable(str(error)))
        except Exception as error:
            logger.exception("%s version %d can't be loaded", sendable(entry.name), entry.version)
            return replace(entry, state=State.UNAVAILABLE, reason=sendable(f"{type(error).__name__}: {error}"))
        logger.info("%s version %d is READY", entry.name, entry.version)
        self._tell_limits(entry, model)
        return replace(entry, state=State.READY, model=model)

    def _tell_limits(self, entry: Entry, model: Model) -> None:
        for primitive, (rows, seconds) in limited(model.seconds, self._warm_up_rows[-1]).items():
            text = "%s version %d: %s of %d rows took %.1f s at warm-up, so no pass of it has more"
            logger.warning(text, entry.name, entry.version, primitive, rows, seconds)


def as_known(found: Mapping[Key, Entry], known: Mapping[Key, Known]) -> Iterator[tuple[Key, Entry]]:
    """Yield what was found and others know too, as they have it."""
    for key, entry in found.items():
        if key in known:
            is_unloaded, is_awaited = known[key]
            yield key, without_model(entry) if is_unloaded else replace(entry, is_awaited=is_awaited)


def begun(found: Entry, known: Entry | None) -> Entry:
    """Return what is shown of a version while it is loaded anew: what serves, goes on."""
    if known is None:
        return replace(found, is_awaited=False)
    return known if known.model is not None else replace(found, is_awaited=known.is_awaited)


def without_model(entry: Entry) -> Entry:
    """Return a version that is unloaded."""
    return replace(entry, state=State.UNAVAILABLE, reason=UNLOADED, model=None, is_awaited=False)


def told(faults: Mapping[Key, Entry]) -> str:
    """Tell what became of versions that can't be loaded."""
    each = "; ".join(f"version {entry.version} of {entry.name}: {entry.reason}" for entry in faults.values())
    return f"Every version must load, and some did not. Received: {each}. Mend the files and load it again."
