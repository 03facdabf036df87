"""What requests look into: every version as it is now."""

from collections.abc import Mapping

from app.errors import NotFound, NotReady
from app.model import Model
from app.repository.entries import LOADING_RETRY_S, Entry, Key, State, not_ready
from app.repository.finding import is_version


class Catalogue:
    """Every version, and what requests mean by names and versions. It never changes, so threads may share it.

    Args:
        entries: By name and version.
        default: The model that a request without a name means; None: the only READY one.
    """

    def __init__(self, entries: Mapping[Key, Entry], default: str | None = None) -> None:
        """Sort the versions."""
        self.entries: Mapping[Key, Entry] = dict(sorted(entries.items()))
        self.names = sorted({entry.name for entry in self.entries.values()})
        self._default = default
        # What requests ask for again and again; it goes with the catalogue, and so holds no model that is served no more.
        self._found: dict[tuple[str | None, str | None], tuple[Entry, Model]] = {}

    def is_ready(self, *, strict: bool) -> bool:
        """Whether all versions that are awaited are READY (strict), or at least one is; no model at all is not ready."""
        entries = self.entries.values()
        waits = any(entry.is_awaited and entry.state is not State.READY for entry in entries)
        return any(entry.state is State.READY for entry in entries) and not (strict and waits)

    def versions(self, name: str) -> list[Entry]:
        """Return the versions of a model, the lowest first.

        Raises:
            NotFound: There is no such model.
        """
        found = [entry for entry in self.entries.values() if entry.name == name]
        if not found:
            raise NotFound(f"There is no model {name!r}. {self._existing()}")
        return found

    def find(self, name: str | None, version: str | None) -> Entry:
        """Return the entry that a path means; see ``Repository.find``."""
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

    def ready(self, name: str | None, version: str | None) -> tuple[Entry, Model]:
        """Return the entry that a path means, and its model; see ``Repository.ready``."""
        found = self._found.get((name, version))
        if found is None:
            entry = self.find(name, version)
            if entry.model is None:
                raise not_ready(entry)
            found = self._found[name, version] = entry, entry.model
        return found

    def _default_name(self) -> str:
        if self._default is not None:
            return self._default
        ready = sorted({entry.name for entry in self.entries.values() if entry.state is State.READY})
        if len(ready) == 1:
            return ready[0]
        if any(entry.state is State.LOADING for entry in self.entries.values()):
            raise NotReady("There is no default model yet: some are still loading. Try again.", LOADING_RETRY_S)
        raise NotFound(
            f"There is no default model: GYOZA_DEFAULT_MODEL is not set, and {len(ready)} models are READY, not one. "
            f"Ask below /models/<name> instead. {self._existing()}"
        )

    def _existing(self) -> str:
        if not self.names:
            return "Models that exist: none. Put one into the folder of GYOZA_MODELS_DIR and restart the server."
        return f"Models that exist: {', '.join(self.names)}. Name one of them."
