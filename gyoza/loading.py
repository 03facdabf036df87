"""Files to flows: the one place that deserialises, and it deserialises only classes that it knows.

Importing this module imports Keras. ``load_flow`` holds no state and knows no server: it may run in a child process.
"""

import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gyoza
from gyoza import modelling
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
from gyoza.modelling import flow_layers, losses, masks
from gyoza.modelling.reference import LayeredFlow

PROBE_ROWS = 16
JACOBIAN_ROWS = 4
"""Fewer, since each needs a backward pass per dimension."""

GYOZA_CLASSES = frozenset({*flow_layers.__all__, *masks.__all__, *losses.__all__, "_PositiveConstraint_"})
ORIGINALS = {f"Custom>{name}": getattr(module, name) for module in (flow_layers, masks) for name in module.__all__}
"""Files written by gyoza 0.3 name its classes so; within the scope of one load these stand for ours."""
KERAS_LAYER_NAMES = """
Activation Add AveragePooling1D AveragePooling2D BatchNormalization Concatenate Conv1D Conv2D Dense DepthwiseConv2D
Dropout ELU Flatten Functional GaussianDropout GaussianNoise GlobalAveragePooling1D GlobalAveragePooling2D
GroupNormalization InputLayer LayerNormalization LeakyReLU MaxPooling1D MaxPooling2D Multiply PReLU Permute
RMSNormalization ReLU RepeatVector Reshape SeparableConv2D Sequential Softmax SpectralNormalization Subtract
UnitNormalization UpSampling1D UpSampling2D ZeroPadding1D ZeroPadding2D
"""
KERAS_LAYERS = frozenset(KERAS_LAYER_NAMES.split())
KERAS_PARTS = ("initializers", "constraints", "regularizers", "activations", "dtype_policies")
"""Modules of Keras whose classes hold numbers only."""
MARKERS = frozenset({"__tuple__", "__keras_tensor__"})
"""What Keras writes where JSON has no word for a value."""


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
    check_classes(read_config(path), path.name)
    saving = modelling.keras.saving
    try:
        with saving.custom_object_scope(ORIGINALS):
            return saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises whatever its layers raise.
        raise LoadError(f"{path.name} can't be deserialised by Keras: {first_line(error)}") from error


def read_config(path: Path) -> dict[str, Any]:
    """Read the config of a ``.keras`` archive without deserialising anything."""
    try:
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read("config.json"))
    except FileNotFoundError as error:
        raise LoadError(f"{path.name} does not exist") from error
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise LoadError(
            f"{path.name} must be a .keras archive as written by model.save(); it can't be read: {first_line(error)}"
        ) from error
    if not isinstance(config, dict):
        raise LoadError(f"{path.name} must hold a config that is a JSON object. Received: {type(config).__name__}")
    return config


def check_classes(config: dict[str, Any], name: str) -> None:
    """Refuse a config that names any class which is neither one of gyoza's nor on the list of plain Keras ones."""
    untrained = {key: value for key, value in config.items() if key != "compile_config"}
    for node in named_nodes(untrained):
        if not is_known(node):
            title = node["config"].get("name") if isinstance(node.get("config"), dict) else None
            raise LoadError(
                f"{name} names the class {node.get('module')}.{node['class_name']}"
                f"{f' (layer {title!r})' if title else ''}, which is neither a gyoza class nor one of the plain Keras "
                "classes that may be loaded; save a flow made of those"
            )


def named_nodes(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every dict of a config that names a class, however deep."""
    if isinstance(value, dict):
        if "class_name" in value:
            yield value
        for item in value.values():
            yield from named_nodes(item)
    elif isinstance(value, list):
        for item in value:
            yield from named_nodes(item)


def is_known(node: Mapping[str, Any]) -> bool:
    """Whether a node of a config names a class that may be deserialised."""
    module, name = node.get("module"), node["class_name"]
    if not isinstance(name, str) or node.get("compile_config"):
        return False
    if not isinstance(module, str):
        return module is None and name in MARKERS
    if module == "gyoza.modelling" or module.startswith("gyoza.modelling."):
        return name in GYOZA_CLASSES
    if module in {"keras", "keras.layers", "keras.models"} or module.startswith("keras.src.models"):
        return name in KERAS_LAYERS or (module == "keras" and name == "DTypePolicy")
    return module.removeprefix("keras.") in KERAS_PARTS and name != "function"


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
