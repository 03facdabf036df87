"""Options that several commands take, and what their texts mean."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from app.commands.ending import fail
from app.settings import Settings, parts_of

__all__ = ["Json", "ModelsDir", "TrustedModules", "pairs_of", "trusted_of"]


def setting(name: str, metavar: str) -> Any:
    """Make the option of a setting of the service, which the environment gives too."""
    text = Settings.model_fields[name].description
    return typer.Option(f"--{name.replace('_', '-')}", metavar=metavar, help=text, envvar=f"GYOZA_{name.upper()}")


ModelsDir = Annotated[Path, setting("models_dir", "FOLDER")]
TrustedModules = Annotated[str, setting("trusted_modules", "MODULE,…")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


def trusted_of(text: str) -> tuple[str, ...]:
    """Return the names of the modules that are trusted."""
    names = parts_of(text)
    if wrong := [name for name in names if not all(map(str.isidentifier, name.split(".")))]:
        fail(f"--trusted-modules must name Python modules, separated by commas. Received: {wrong[0]}", code=2)
    return names


def pairs_of(option: str, text: str, kind: Callable[[str], Any]) -> dict[str, Any]:
    """Return the names and numbers of ``NAME=NUMBER,…``."""
    try:
        pairs = [(name.strip(), kind(number)) for name, number in (part.split("=") for part in text.split(","))]
    except ValueError:
        fail(f"{option} must be NAME=NUMBER,NAME=NUMBER,… Received: {text}", code=2)
    if len(dict(pairs)) != len(pairs):
        fail(f"{option} must name every factor once. Received: {text}", code=2)
    return dict(pairs)
