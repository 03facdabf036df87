"""What a path on the command line means: a version, the versions of a model, a loose file, a plan."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import typer

from app.errors import UnloadableModel
from app.halves import HalfLoader, load_half_with_keras
from app.manifest import FLOW, PLAN
from app.model import Loader, Model, load, load_with_keras
from app.repository.entries import Entry
from app.repository.finding import MODEL_NAME, find_entries, is_version

__all__ = ["Version", "half_loader_of", "loader_of", "newest", "ready_version", "versions_at"]


@dataclass(frozen=True)
class Version:
    """One version of a model, or a file that stands for one."""

    path: Path
    name: str
    number: str
    reason: str | None = None
    """Why it may not even be loaded, whatever is in it."""

    @classmethod
    def at(cls, path: Path) -> "Version":
        """Name what lies at a path by its folders."""
        place = path.absolute()
        folder = place if place.is_dir() else place.parent
        if is_version(folder.name) and (folder is place or place.name in {FLOW, PLAN}):
            return cls(path, folder.parent.name, str(int(folder.name)))
        return cls(path, place.stem, "1")

    @classmethod
    def of(cls, entry: Entry) -> "Version":
        """Take over what was found in a folder of models."""
        return cls(entry.path, entry.name, str(entry.version), entry.reason)

    def load(self, loader: Loader, half_loader: HalfLoader) -> Model:
        """Load it as the service does, but for the warm-up; see ``app.model.load``."""
        if self.reason is not None:
            raise UnloadableModel(self.reason)
        return load(self.path, loader, (), half_loader)

    @property
    def title(self) -> str:
        """Name and number, for messages."""
        return f"{self.name} version {self.number}"


def loader_of(trusted: tuple[str, ...]) -> Loader:
    """Return what loads a ``.keras`` file, as the service does."""
    return partial(load_with_keras, trusted_modules=trusted)


def half_loader_of(trusted: tuple[str, ...]) -> HalfLoader:
    """Return what loads the ``.keras`` file of a half, likewise."""
    return partial(load_half_with_keras, trusted_modules=trusted)


def newest(path: Path) -> Version:
    """Return the version that a path means, the newest one where it is a model's folder."""
    return versions_at(path)[0]


def versions_at(path: Path) -> list[Version]:
    """Return the versions that a path means: itself, or of a model's folder all, the newest first.

    Raises:
        ValueError: There is nothing, or nothing that could be one.
    """
    if not path.exists():
        raise ValueError(f"{path} must be there; mend the path. Received: no such file or folder")
    if path.is_file() and path.suffix not in {Path(FLOW).suffix, Path(PLAN).suffix}:
        raise ValueError(
            f"{path} must be a folder of a version or a model, a .keras file, or a plan in .safetensors; name one of these"
        )
    is_single = path.is_file() or any((path / name).exists() for name in (FLOW, PLAN))
    numbered = [] if is_single else [child for child in path.iterdir() if child.is_dir() and is_version(child.name)]
    if not is_single and not numbered and not is_version(path.name):
        raise ValueError(
            f"{path} must hold {FLOW} or {PLAN}, or folders of versions such as {path / '1'}, which do; name such a folder"
        )
    found = sorted(numbered, key=lambda child: int(child.name), reverse=True) or [path]
    return [Version.at(child) for child in found]


def named(model: str, models_dir: Path) -> list[Version]:
    """Return the versions that a name in the folder of models means, or else a path; the newest first.

    Raises:
        ValueError: There is neither.
    """
    if MODEL_NAME.fullmatch(model) and models_dir.is_dir():
        entries = find_entries(models_dir, model)
        if entries:
            return [Version.of(entry) for entry in reversed(entries.values())]
    if Path(model).exists():
        return versions_at(Path(model))
    there = sorted({name for name, _ in find_entries(models_dir)}) if models_dir.is_dir() else []
    raise ValueError(
        f"MODEL must be the name of a model in {models_dir}, or a path; those there: {', '.join(there) or 'none'}. "
        f"Received: {model}. Name another, or another folder by --models-dir"
    )


def ready_version(model: str, models_dir: Path, loader: Loader, half_loader: HalfLoader) -> tuple[Version, Model]:
    """Return the newest version of a model that loads, and the model; the others are told of on standard error.

    Raises:
        ValueError: There is none.
    """
    for version in named(model, models_dir):
        try:
            return version, version.load(loader, half_loader)
        except UnloadableModel as error:
            typer.echo(f"{version.title} can't be loaded: {error}", err=True)
    raise ValueError(f"A version of {model} must load, and none does; gyoza check tells more of each. Mend one of them")
