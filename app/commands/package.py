"""``gyoza package``: a flow's file as the next version of a model."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from app.commands.check import BATCH_ROWS, Finding, beside_of, figures_of, line_of
from app.commands.ending import ending_cleanly, fail
from app.commands.options import Json, ModelsDir, TrustedModules, pairs_of, trusted_of
from app.commands.versions import half_loader_of, loader_of
from app.errors import UnloadableModel
from app.library import needing_keras
from app.model import Model, load
from app.primitives import warm_up_rows
from app.settings import Settings
from gyoza.data.files import read_latents
from gyoza.factors import FACTOR_NAME, RESIDUAL, check_factor_name
from gyoza.packaging.manifest import FactorNote, Outputs
from gyoza.packaging.versions import drafting
from gyoza.rows import open_rows

__all__ = ["package"]

MODELS_DIR: Path = Settings.model_fields["models_dir"].default
MOST_EXAMPLES = 1024
EXAMPLES = ("latents", "inputs")


@dataclass(frozen=True)
class Given:
    """What a version is made of."""

    flow: Path
    encoder: Path | None
    decoder: Path | None
    golden: Path | None
    examples: Path | None
    factors: tuple[FactorNote, ...]
    description: str | None
    outputs: Outputs | None

    @property
    def models(self) -> Mapping[str, Path]:
        """The files of Keras by the names that they have in a version."""
        models = {"flow.keras": self.flow, "encoder.keras": self.encoder, "decoder.keras": self.decoder}
        return {name: path for name, path in models.items() if path is not None}


def package(  # noqa: PLR0913 - each is an option of the command line.
    flow: Annotated[Path, typer.Argument(metavar="FLOW.keras", help="A flow, as Keras saves it or gyoza 0.3 did.")],
    *,
    name: Annotated[str, typer.Option(metavar="NAME", help="The model's; it gets a first version, or the next one.")],
    models_dir: ModelsDir = MODELS_DIR,
    factors: Annotated[
        str, typer.Option(metavar="NAME=SIZE,…", help="The parts of a code in order; by default those the flow names.")
    ] = "",
    encoder: Annotated[Path | None, typer.Option(metavar="FILE.keras", help="The host's first half.")] = None,
    decoder: Annotated[Path | None, typer.Option(metavar="FILE.keras", help="The host's second half.")] = None,
    golden: Annotated[
        Path | None,
        typer.Option(metavar="ROWS.npy", help="Latents to be met at each load; by default from codes of N(0, I)."),
    ] = None,
    examples: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A few latents, .npy; or .safetensors with inputs too.")
    ] = None,
    outputs: Annotated[
        str | None, typer.Option(metavar="KIND=SHAPE", help="What the decoder gives, such as image=8x8x3.")
    ] = None,
    description: Annotated[str | None, typer.Option(metavar="TEXT", help="What the flow is for.")] = None,
    trusted_modules: TrustedModules = "",
    as_json: Json = False,
) -> None:
    """Write a flow as a model's next version, proven, with its plan.

    It appears when it is whole, and was loaded as the service loads it. Nothing is left of one that fails.

    Example: gyoza package flow.keras --name mine --factors residual=20,digit=9,color=3
    """
    given = Given(flow, encoder, decoder, golden, examples, notes_of(factors), description, outputs_of(outputs))
    trusted = trusted_of(trusted_modules)
    if not FACTOR_NAME.fullmatch(name):
        fail(f"--name must match {FACTOR_NAME.pattern}; choose another. Received: {name}", code=2)
    with ending_cleanly(ValueError, UnloadableModel):
        check_models(given)
        with drafting(models_dir, name) as draft:
            lacking = fill(draft.folder, given, trusted)
            model = load(draft.folder, loader_of(trusted), warm_up_rows(BATCH_ROWS), half_loader_of(trusted))
            folder = draft.publish()
    if as_json:
        typer.echo(json.dumps(report(folder, model, lacking), indent=2))
    else:
        tell(folder, model, lacking, models_dir)


def notes_of(text: str) -> tuple[FactorNote, ...]:
    """Return the factors of ``NAME=SIZE,…``."""
    sizes = pairs_of("--factors", text, int) if text else {}
    try:
        for name in sizes:
            check_factor_name(name)
    except ValueError as error:
        fail(f"--factors: {error}", code=2)
    if min(sizes.values(), default=1) < 1 or RESIDUAL in list(sizes)[1:]:
        fail(f"--factors must have sizes of 1 or more, and {RESIDUAL} first if it is there. Received: {text}", code=2)
    return tuple(FactorNote(name, size) for name, size in sizes.items())


def outputs_of(text: str | None) -> Outputs | None:
    """Return the kind and the shape of ``KIND=SHAPE``."""
    if text is None:
        return None
    kind, _, shape = text.partition("=")
    sizes = shape.split("x")
    if not kind or not all(size.isdecimal() and int(size) for size in sizes):
        fail(f"--outputs must be KIND=SHAPE, such as image=8x8x3. Received: {text}", code=2)
    return Outputs(tuple(map(int, sizes)), kind)


def check_models(given: Given) -> None:
    """Refuse what is no file of Keras before anything is made."""
    for path in given.models.values():
        if path.suffix != ".keras" or not path.is_file():
            raise ValueError(f"{path} must be a .keras file that is there; save the model by model.save() first")


def fill(folder: Path, given: Given, trusted: tuple[str, ...]) -> str | None:
    """Write all files of a version: -> why it got no plan, or None.

    Raises:
        ValueError: Rows do not fit the flow.
        UnloadableModel: Keras is not installed, a file can't be loaded, or the flow does not pass its checks.
        OSError: A file can't be read or written.
    """
    for name, path in given.models.items():
        shutil.copyfile(path, folder / name)
    with needing_keras("packaging a flow"):
        from gyoza.loading import read_model  # noqa: PLC0415 - Keras is an optional extra.
        from gyoza.packaging.contents import Contents, complete_version  # noqa: PLC0415 - likewise.
        from gyoza.packaging.golden import golden_of  # noqa: PLC0415 - likewise.

        model, *_ = [read_model(folder / name, trusted) for name in given.models]
        golden = golden_of(model, None if given.golden is None else read_latents(given.golden))
        examples = examples_of(given, golden.latents)
        contents = Contents(golden, examples, given.factors, given.description, given.outputs)
        return complete_version(folder, contents, trusted)


def examples_of(given: Given, like: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Read the examples, whose latents must be of the shape of those of the flow."""
    if given.examples is None:
        return {}
    with open_rows(given.examples, EXAMPLES[0]) as file:
        counts = {len(file.arrays[name]) for name in EXAMPLES if name in file.arrays}
        if "latents" not in file.arrays or file.arrays["latents"].row_shape != like.shape[1:] or len(counts) > 1:
            expected = ", ".join(map(str, ("n", *like.shape[1:])))
            raise ValueError(
                f"{given.examples} must hold latents of the shape [{expected}], and as many inputs if it holds any. Received: "
                f"{', '.join(f'{name} {list(array.shape)}' for name, array in file.arrays.items()) or 'no array'}"
            )
        if not 1 <= min(counts) <= MOST_EXAMPLES:
            raise ValueError(f"{given.examples} must hold 1 to {MOST_EXAMPLES} examples. Received: {min(counts)}")
        arrays = {name: file.read(name, 0, min(counts)) for name in EXAMPLES if name in file.arrays}
    if not all(np.isfinite(rows).all() for rows in arrays.values()):
        raise ValueError(f"{given.examples} must hold finite numbers; leave out the rows that have others")
    return {name: rows.astype(like.dtype) for name, rows in arrays.items()}


def tell(folder: Path, model: Model, lacking: str | None, models_dir: Path) -> None:
    """Print what was written, what its checks found, and what to type next."""
    shape, sizes = list(model.flow.latent_shape), factors_of(model)
    named = ", ".join(f"{name} {size}" for name, size in sizes.items()) or "none; name them by --factors"
    typer.echo(f"Written: {folder}\n\nlatents {shape} in {model.flow.dtype}; factors: {named}")
    typer.echo(f"plan: {'yes' if lacking is None else f'none, so serving it needs Keras. {lacking}'}")
    for finding in findings_of(model):
        typer.echo(line_of(finding))
    typer.echo(f"\nServe it:  gyoza serve --models-dir {models_dir}")


def findings_of(model: Model) -> list[Finding]:
    """Return what the checks of the flow and of what lies beside it found."""
    return [*figures_of(model.loaded), *beside_of(model.beside)]


def factors_of(model: Model) -> dict[str, int]:
    """Return names and sizes of a model's factors."""
    return {} if model.layout is None else {factor.name: factor.size for factor in model.layout.factors}


def report(folder: Path, model: Model, lacking: str | None) -> dict[str, object]:
    """Return what was written and found, ready for JSON."""
    return {
        "path": str(folder),
        "model": folder.parent.name,
        "version": folder.name,
        "factors": factors_of(model),
        "has_plan": lacking is None,
        "no_plan_because": lacking,
        "checks": [asdict(finding) for finding in findings_of(model)],
    }
