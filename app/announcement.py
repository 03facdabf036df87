"""What is printed when all models are loaded: where it serves, what, and where to look."""

import os
from pathlib import Path

import typer

from app.errors import NotFound, TryLater, sendable
from app.repository import Entry, Repository, State
from app.settings import Settings


def headline(url: str, ready: int, found: int, seconds: float, workers: int = 1) -> str:
    """Say where it serves, and how much of what was found."""
    by = f" by {workers} workers" if workers > 1 else ""
    return f"Serving on {url}{by} (Ctrl+C ends it): {ready} of {found} versions READY in {seconds:.1f} s"


def story(url: str, repository: Repository, settings: Settings) -> str:
    """Tell what was loaded, what keeps it from being ready, and where to look."""
    lines = [told(entry) for entry in repository.entries]
    if not repository.is_ready(strict=settings.strict_readiness):
        lines.append(alarming(why_not_ready(repository)))
    key = " -H 'X-API-Key: KEY'" if settings.api_keys_file else ""
    return "\n".join([*lines, f"Documentation:  {url}/docs", f"Try:            curl {url}{example(repository)}{key}"])


def count_ready(repository: Repository) -> int:
    """Count the versions that are READY."""
    return sum(entry.state is State.READY for entry in repository.entries)


def told(entry: Entry) -> str:
    """Tell one version in a line, one that is not served so that it can't be missed."""
    title = f"{entry.name} version {entry.version}: {entry.state}"
    if entry.model is None:
        return alarming(f"! {title} ({entry.reason})")
    return f"  {title}, latents {list(entry.model.flow.latent_shape)} in {entry.model.flow.dtype}"


def alarming(text: str) -> str:
    """Make a text red where it is read on a terminal."""
    return typer.style(text, fg="red", bold=True)


def why_not_ready(repository: Repository) -> str:
    """Say what a server that is not ready waits for."""
    if repository.entries:
        others = ", or be ready without it by --no-strict-readiness" if repository.is_ready(strict=False) else ""
        return f"NOT READY (/readyz answers 503): mend or remove what is UNAVAILABLE and start again{others}."
    folder = shown_folder(repository.folder)
    # Unlike Path.is_dir, this raises nothing where a folder above may not be read.
    there = f"{folder} holds no model" if os.path.isdir(repository.folder) else f"there is no folder {folder}"  # noqa: PTH112
    return (
        f"NOT READY (/readyz answers 503): {there}. Put <name>/<version>/flow.keras or <name>.keras into it, or choose "
        "another folder with --models-dir, and start again."
    )


def shown_folder(folder: Path) -> str:
    """Return a folder's whole path, since a relative one is found from elsewhere than one thinks."""
    return sendable(str(folder.absolute()))


def example(repository: Repository) -> str:
    """Return a path that answers: the factors of the default model, itself if it has none, or every model."""
    try:
        entry, model = repository.ready()
    except (NotFound, TryLater):
        return "/models"
    return f"/models/{entry.name}" if model.layout is None else "/factors"
