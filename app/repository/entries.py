"""An entry is one version of one model: what was found of it, and what became of that."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple, TypeAlias

from app.errors import NotReady
from app.model import Model

LOADING_RETRY_S = 2
UNAVAILABLE_RETRY_S = 60
UNLOADED = "unloaded"
"""The reason of a version that was unloaded."""

Key: TypeAlias = tuple[str, int]
"""Name and version."""


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
    """Why it is UNAVAILABLE; or why a READY one serves files that are there no more."""
    model: Model | None = None
    is_awaited: bool = True
    """Whether the server is ready only once this version is."""

    @property
    def key(self) -> Key:
        """Its name and version."""
        return self.name, self.version


class Known(NamedTuple):
    """What others serve of one version, which a process that is started later does too."""

    is_unloaded: bool
    is_awaited: bool


def not_ready(entry: Entry) -> NotReady:
    """Say why a version can't be asked."""
    title = f"Version {entry.version} of {entry.name}"
    if entry.state is State.LOADING:
        return NotReady(f"{title} is still loading. Try again in a moment.", LOADING_RETRY_S)
    cure = "load it again" if entry.reason == UNLOADED else "mend its files, and load it again or restart"
    return NotReady(
        f"{title} is UNAVAILABLE: {entry.reason}. Whoever runs the server must {cure}.", UNAVAILABLE_RETRY_S
    )
