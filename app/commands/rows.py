"""``gyoza encode``, ``gyoza factors``, ``gyoza invert``: files of any number of rows through a flow, in constant memory."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from app.commands.ending import ending_cleanly, fail
from app.commands.options import ModelsDir, TrustedModules, trusted_of
from app.commands.passes import Files, convert
from app.commands.versions import half_loader_of, loader_of, ready_version
from app.commands.work import Work, encoding, inverting, splitting
from app.model import Model
from app.settings import Settings
from gyoza.rows import RowsFile, open_rows
from gyoza.rows.reading import NPY, check_suffix

__all__ = ["encode", "factors", "invert"]

MODELS_DIR: Path = Settings.model_fields["models_dir"].default

ModelName = Annotated[str, typer.Argument(metavar="MODEL", help="A name in the folder of models, or a path.")]
Out = Annotated[Path, typer.Argument(metavar="OUT", help="A new file, .npy or .safetensors.")]
Force = Annotated[bool, typer.Option("--force", help="Replace OUT if it is there.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress bar.")]


def encode(  # noqa: PLR0913 - each is an option of the command line.
    model: ModelName,
    source: Annotated[Path, typer.Argument(metavar="IN", help="Latents: .npy, or .safetensors with latents in it.")],
    target: Out,
    *,
    models_dir: ModelsDir = MODELS_DIR,
    trusted_modules: TrustedModules = "",
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Encode a file of latents to codes, however many rows.

    A .npy file gets the codes alone, .safetensors also logdet and log_likelihood. OUT appears when it is whole.

    Example: gyoza encode digits latents.npy codes.safetensors
    """
    run(model, models_dir, trusted_modules, Files(source, target, force, quiet), encoding)


def factors(  # noqa: PLR0913 - each is an option of the command line.
    model: ModelName,
    source: Annotated[Path, typer.Argument(metavar="IN", help="Latents: .npy, or .safetensors with latents in it.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="A new file, .safetensors.")],
    *,
    models_dir: ModelsDir = MODELS_DIR,
    trusted_modules: TrustedModules = "",
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Encode a file of latents to factors by name, however many rows.

    OUT holds factors.NAME for each factor, logdet and log_likelihood, and appears when it is whole.

    Example: gyoza factors digits latents.npy factors.safetensors
    """
    if target.suffix == NPY:
        fail(
            f"OUT must end in .safetensors, since factors are several arrays. Received: {target}. Choose that ending, or "
            "gyoza encode for the codes alone",
            code=2,
        )
    run(model, models_dir, trusted_modules, Files(source, target, force, quiet), splitting)


def invert(  # noqa: PLR0913 - each is an option of the command line.
    model: ModelName,
    source: Annotated[
        Path, typer.Argument(metavar="IN", help="Codes: .npy, or .safetensors with codes or all factors.NAME in it.")
    ],
    target: Out,
    *,
    models_dir: ModelsDir = MODELS_DIR,
    trusted_modules: TrustedModules = "",
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Map a file of codes or factors back to latents, however many rows.

    IN is what gyoza encode or gyoza factors wrote, or such a file of one's own. OUT appears when it is whole.

    Example: gyoza invert digits codes.safetensors latents.npy
    """
    run(model, models_dir, trusted_modules, Files(source, target, force, quiet), inverting)


def run(model: str, models_dir: Path, trusted: str, files: Files, work_of: Callable[[Model, RowsFile], Work]) -> None:
    """Load a model and put a file of rows through it."""
    with ending_cleanly(ValueError):
        check_target(files)
        with open_rows(files.source, "latents" if work_of is not inverting else "codes") as source:
            modules = trusted_of(trusted)
            version, loaded = ready_version(model, models_dir, loader_of(modules), half_loader_of(modules))
            work = work_of(loaded, source)
            convert(source, files, work, loaded.flow.dtype, {"model": version.name, "version": version.number})


def check_target(files: Files) -> None:
    """Refuse a path that can't, or must not, be written to before anything is loaded."""
    target = files.target
    check_suffix(target)
    if not target.parent.is_dir():
        raise ValueError(f"The folder {target.parent} does not exist; make it first: mkdir -p {target.parent}")
    if not target.exists():
        return
    if files.source.exists() and target.samefile(files.source):
        raise ValueError(f"OUT must be another file than IN, which is read while it is written. Received: {target}")
    if not files.force or not target.is_file():
        raise ValueError(f"{target} must not be there yet; choose another OUT, or say --force to replace a file")
