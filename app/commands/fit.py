"""``gyoza fit``: train a flow of one's own from a file of latents and a table of labels."""

import inspect
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from app.commands.ending import fail, leave_interrupted, what_failed
from app.commands.options import pairs_of
from gyoza.data.files import LabelColumn, read_labels, read_latents
from gyoza.fitting.paths import SUFFIX, files_there
from gyoza.fitting.settings import FitSettings

if TYPE_CHECKING:
    from gyoza.fitting import FittedFlow, FlowFit

__all__ = ["fit"]

MANY_CLASSES = 20
"""From more on, integers are asked about: they may be amounts."""
WRITE_FIRST = "mend the path, or write it first: latents by numpy.save, labels as a table with commas"


def with_fit_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command one option for each field of ``FitSettings``, so that they are written down once."""
    own = [option for option in inspect.signature(command).parameters.values() if option.kind is not option.VAR_KEYWORD]
    options = [*own, *map(option_of, fields(FitSettings))]
    command.__signature__ = inspect.Signature(options)  # type: ignore[attr-defined]
    command.__annotations__ = {option.name: option.annotation for option in options}
    return command


def option_of(field: Any) -> inspect.Parameter:
    """Make the option of one field."""
    kind = field.type if field.type in {int, float, str} else str
    text = f"{field.metadata['description']} [default: {field.default}]"
    flag = typer.Option(f"--{field.name.replace('_', '-')}", help=text, show_default=False)
    option = Annotated[kind | None, flag]  # type: ignore[valid-type]
    return inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=option)


@with_fit_settings
def fit(  # noqa: PLR0913 - each is an option of the command line.
    latents: Annotated[Path, typer.Argument(metavar="LATENTS.npy", help="Latents [n, …], saved by numpy.save.")],
    labels: Annotated[
        Path, typer.Argument(metavar="LABELS.csv", help="A column for each factor, a row for each latent.")
    ],
    *,
    out: Annotated[Path, typer.Option(metavar="FLOW.keras", help="Where to write the flow.")],
    sizes: Annotated[
        str, typer.Option(metavar="NAME=SIZE,…", help="Entries of the code for each factor; by default estimated.")
    ] = "",
    continuous: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="A factor to take for numbers; may be repeated.")
    ] = None,
    classes: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="A factor to take for classes; may be repeated.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of all randomness; by default one is drawn and printed.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what is there.")] = False,
    **given: Any,
) -> None:
    """Train a flow from latents and labels, and measure it.

    A column of integers or of text is taken for classes, one of other numbers for numbers; the columns color.0, color.1,
    color.2 are one factor color of three numbers. Some rows are kept back to measure on. The flow has the weights of the best
    epoch: the last whose loss on the rows kept back was better by .05 nats or more.

    Example: gyoza fit latents.npy labels.csv --out models/mine.keras
    """
    settings = settings_of(given)
    wanted = pairs_of("--sizes", sizes, int) if sizes else None
    if out.suffix != SUFFIX:
        fail(f"--out must end in {SUFFIX}. Received: {out}", code=2)
    try:
        check_free(out, force=force)
        columns = read_labels(labels, continuous=continuous or (), classes=classes or ())
        tell_columns(columns)
        array = read_latents(latents)
        check_rows(latents, array, labels, next(iter(columns.values())).values)
        fitted = train(array, columns, sizes=wanted, settings=settings, seed=seed)
        report = fitted.save(out, overwrite=force)
    except KeyboardInterrupt:
        leave_interrupted()
    except (ValueError, TypeError, ArithmeticError, ImportError) as error:
        fail(str(error))
    except OSError as error:
        fail(what_failed(error, WRITE_FIRST))
    tell_result(fitted, out, report)


def settings_of(given: Mapping[str, Any]) -> FitSettings:
    """Return the settings of the options that were given."""
    chosen = {name: value for name, value in given.items() if value is not None}
    if text := chosen.pop("correlations", None):
        chosen["correlations"] = pairs_of("--correlations", text, float) if "=" in text else number_of(text)
    try:
        return FitSettings(**chosen)
    except (ValueError, TypeError) as error:
        fail(f"{error}\ngyoza fit --help tells what each may be.", code=2)


def number_of(text: str) -> float:
    """Return the one correlation for all factors."""
    try:
        return float(text)
    except ValueError:
        fail(f"--correlations must be a number, or NAME=NUMBER,… Received: {text}", code=2)


def check_free(out: Path, *, force: bool) -> None:
    """Refuse a path that can't be written to before anything is trained."""
    if not out.parent.is_dir():
        raise ValueError(f"The folder {out.parent} does not exist; make it first: mkdir -p {out.parent}")
    if (there := files_there(out)) and not force:
        raise ValueError(
            f"{there} must not be there yet; choose another --out, or say --force to replace what is there."
        )


def check_rows(latents: Path, array: NDArray[Any], labels: Path, labelled: NDArray[Any]) -> None:
    """Refuse files of latents and of labels that differ in their rows; an array without any is refused later."""
    if array.ndim and len(array) != len(labelled):
        raise ValueError(
            f"{latents} and {labels} must have as many rows, in the same order; mend the one or the other. "
            f"Received: {len(array)} rows of latents, {len(labelled)} rows of labels"
        )


def train(latents: Any, columns: Mapping[str, LabelColumn], **options: Any) -> "FittedFlow":
    """Check everything, say what will be done, and train."""
    # What TensorFlow prints about the processor is no news to who trains.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    from gyoza.fitting import FlowFit  # noqa: PLC0415 - Keras is an optional extra.

    prepared = FlowFit(latents, {name: column.values for name, column in columns.items()}, **options)
    tell_plan(prepared)
    return prepared.run(verbose=1 if sys.stdout.isatty() else 2)


def tell_columns(columns: Mapping[str, LabelColumn]) -> None:
    """Print what each column was taken for, and how to say otherwise."""
    for name, column in columns.items():
        typer.echo(f"{name}: {taken_for(name, column)}")


def taken_for(name: str, column: LabelColumn) -> str:
    """Say what a column was taken for."""
    count, values = column.distinct, column.values
    if not column.is_continuous:
        hint = f"; if they are amounts: --continuous {name}" if column.is_numeric and count > MANY_CLASSES else ""
        return f"{count} classes{lone_classes(column)}{hint}"
    if values.ndim > 1:
        return f"{values.shape[1]} numbers a row"
    hint = f"; only {count} different ones, if they are classes: --classes {name}" if count <= MANY_CLASSES else ""
    return f"numbers from {values.min():g} to {values.max():g}{hint}"


def lone_classes(column: LabelColumn) -> str:
    """Say how many classes have a row that no other can make a pair with; nothing where none has."""
    _, rows = np.unique(column.values, return_counts=True)
    lone = int((rows == 1).sum())
    if not lone:
        return ""
    return f", {lone} of them with a single row, which makes no pair"


def tell_plan(prepared: "FlowFit") -> None:
    """Print what will be trained on what."""
    sizes = ", ".join(f"{name} {size}" for name, size in prepared.sizes.items())
    typer.echo(
        f"Training on {prepared.training_rows} rows, keeping {prepared.validation_rows} back; code: {sizes}; "
        f"seed {prepared.seed} (Ctrl+C ends it)"
    )


def tell_result(fitted: "FittedFlow", out: Path, report: Path) -> None:
    """Print the measures, where everything was written, and what to type next."""
    typer.echo(f"\nOn the {fitted.validation_rows} rows kept back:\n\n{fitted.table()}\n")
    typer.echo(f"How well each factor can be read from each block:\n\n{fitted.block_scores.table()}\n")
    typer.echo(
        f"Loss {fitted.loss:.3f} (epoch {fitted.best_epoch} of {len(fitted.history['loss'])}), "
        f"log-likelihood {fitted.log_likelihood:.3f}, seed {fitted.seed}\n"
        f"Written: {out} and {report}\n"
        f"Serve it:  gyoza serve --models-dir {out.parent}"
    )
