"""Files to flows: the one place that deserialises, and it deserialises only classes that it knows.

Importing this module imports Keras. ``load_flow`` holds no state and knows no server: it may run in a child process.
"""

import json
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import gyoza
from gyoza import modelling
from gyoza.allow_list import ForeignClassError, check_classes, renamed
from gyoza.inference import CompiledFlow, compile_flow
from gyoza.inference.checks import (
    Check,
    Golden,
    check_agreement,
    check_golden,
    check_logdet,
    check_round_trip,
    probe_latents,
)
from gyoza.modelling import flow_layers
from gyoza.modelling.reference import LayeredFlow

CONFIG = "config.json"
"""The member of a .keras archive that names its classes."""
PROBE_ROWS = 16
JACOBIAN_ROWS = 4
"""Fewer, since each needs a backward pass per dimension."""


class LoadError(Exception):
    """A file could not be loaded; the text says what is wrong with it."""


@dataclass(frozen=True)
class LoadedFlow:
    """A flow read from a file, compiled, and what the checks of it found."""

    flow: CompiledFlow
    factors: Mapping[str, int] | None
    """Factor names and sizes from the file's own config, the residual first; None where it has none."""
    layers: int
    parameters: int
    libraries: Mapping[str, str]
    """Library name to version."""
    checks: tuple[Check, ...]


def load_flow(path: Path, golden: Golden | None = None) -> LoadedFlow:
    """Load, compile and check a flow.

    Args:
        path: A ``.keras`` file that holds a ``FlowModel``.
        golden: Rows recorded when the flow was packaged, to be met again.

    Returns:
        The compiled flow with the figures of its checks, passed or not.

    Raises:
        LoadError: The file is no archive of Keras, names a class that is not on the list, holds no built flow, or its
            parts do not fit together.
    """
    model = read_model(path)
    if not isinstance(model, flow_layers.FlowModel):
        raise LoadError(f"{path.name} must hold a FlowModel or a subclass of it. Received: {type(model).__name__}")
    try:
        flow = compile_flow(model)
    except ValueError as error:
        raise LoadError(f"{path.name} can't be compiled: {error}") from error
    return LoadedFlow(
        flow=flow,
        factors=getattr(model, "factors", None),
        layers=len(model._flow_layers_),
        parameters=model.count_params(),
        libraries=library_versions(),
        checks=check_flow(flow, LayeredFlow(model), golden),
    )


def read_model(path: Path) -> Any:
    """Deserialise a ``.keras`` file after every class that it names was found on the list.

    Args:
        path: The file.

    Returns:
        The Keras model, not compiled for training.

    Raises:
        LoadError: As for ``load_flow``.
    """
    config = read_config(path)
    try:
        check_classes(config)
    except ForeignClassError as error:
        raise LoadError(f"{path.name} can't be loaded: {error}") from error
    with readable(path, config) as file:
        try:
            return modelling.keras.saving.load_model(file, compile=False, safe_mode=True)
        except Exception as error:  # Keras raises whatever its layers raise.
            raise LoadError(f"{path.name} can't be deserialised by Keras: {first_line(error)}") from error


def read_config(path: Path) -> dict[str, Any]:
    """Read the config of a ``.keras`` archive without deserialising anything.

    Raises:
        LoadError: There is no such file, or it is no such archive.
    """
    if path.suffix != ".keras":  # Keras reads other endings by other readers, which would see another content.
        raise LoadError(f"{path.name} must be a .keras file. Received: the ending {path.suffix!r}")
    try:
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read(CONFIG))
    except FileNotFoundError as error:
        raise LoadError(f"{path.name} does not exist") from error
    except (zipfile.BadZipFile, KeyError, ValueError, RecursionError, OSError) as error:
        raise LoadError(
            f"{path.name} must be a .keras archive as written by model.save(); it can't be read: {first_line(error)}"
        ) from error
    if not isinstance(config, dict):
        raise LoadError(f"{path.name} must hold a config that is a JSON object. Received: {type(config).__name__}")
    return config


@contextmanager
def readable(path: Path, config: dict[str, Any]) -> Iterator[Path]:
    """Give a file that Keras finds our classes by: the file itself, or a copy where gyoza 0.3 wrote other names."""
    ours = renamed(config)
    if ours == config:
        yield path
        return
    with TemporaryDirectory() as folder, zipfile.ZipFile(path) as source:
        copy = Path(folder) / path.name
        with zipfile.ZipFile(copy, "w") as target:
            for member in source.infolist():
                target.writestr(member, json.dumps(ours) if member.filename == CONFIG else source.read(member))
        yield copy


def check_flow(flow: CompiledFlow, reference: LayeredFlow, golden: Golden | None) -> tuple[Check, ...]:
    """Run every check of a compiled flow against its layers."""
    latents = probe_latents(flow, PROBE_ROWS)
    checks = (
        check_agreement(flow, reference, latents),
        check_round_trip(flow, latents),
        check_logdet(flow, reference.autodiff_logdet, latents[:JACOBIAN_ROWS]),
    )
    return checks if golden is None else (*checks, check_golden(flow, golden))


def library_versions() -> dict[str, str]:
    """Return the versions of the libraries that made the numbers."""
    keras = modelling.keras
    return {"gyoza": gyoza.__version__, "keras": keras.__version__, "backend": keras.backend.backend()}


def first_line(error: Exception) -> str:
    """Return an error's first line, since Keras appends whole configs to its messages."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
