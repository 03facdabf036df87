"""Which part of a file can't be read: looked for only after Keras failed, since what it raises seldom names it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from gyoza.allow_list import TRAINING
from gyoza.loading.archive import open_weights
from gyoza.loading.errors import reason
from gyoza.loading.parts import called, plain_layers
from gyoza.loading.sizes import made, without_values
from gyoza.loading.weights import misfit
from gyoza.modelling import keras
from gyoza.modelling.flow_layers import DisentanglingFlowModel, FlowModel

__all__ = ["FaultError", "built", "built_alone", "check_built", "diagnose", "diagnose_config"]

LAYER_ADVICE = "Load it with the version of gyoza that wrote it and save the model anew, or correct its config"
WEIGHTS_ADVICE = "Save the model anew by model.save(), which writes config and weights that fit"
TRAINING_ADVICE = "Register own losses and metrics with Keras before, or load the file with compile=False"


class FaultError(Exception):
    """A part of a file can't be read; the text says which, why, and what to do."""


def diagnose(path: Path, config: Mapping[str, Any], error: Exception) -> str:
    """Find the part of a file that Keras could not load.

    Args:
        path: The ``.keras`` file, whose classes are known to be allowed.
        config: Its config, without the training set-up where that was not asked for.
        error: What Keras raised.

    Returns:
        Which part it is, why it can't be read, and what to do, in one line.
    """
    try:
        examine(path, config)
    except FaultError as fault:
        return str(fault)
    return f"{reason(error)}. {WEIGHTS_ADVICE}"


def diagnose_config(config: Mapping[str, Any], error: Exception) -> str:
    """Find the part of a config of which no model can be made, whatever its weights; see ``diagnose``."""
    try:
        without_values(lambda: examine_config(config))
    except FaultError as fault:
        return str(fault)
    return f"{reason(error)}. {LAYER_ADVICE}"


def built_alone(config: Mapping[str, Any]) -> list[Any]:
    """Make the plain layers of a config each by itself, and none of others' code.

    Returns:
        The layers.

    Raises:
        FaultError: One can't be made, or called on what it was built for.
    """
    layers = []
    for place, node in plain_layers({**config, TRAINING: None}):
        with blaming(f"{place}{', ' if place else ''}the {named(node)}", LAYER_ADVICE):
            layers.append(called(node))
    return layers


def built(config: Mapping[str, Any]) -> Any:
    """Make the model of a config, without its training set-up, and make sure that it is built."""
    model = made({**config, TRAINING: None})
    check_built(model, config)
    return model


def examine_config(config: Mapping[str, Any]) -> Any:
    """Make the model of a config part by part.

    Returns:
        The model.

    Raises:
        FaultError: A part can't be made.
    """
    with blaming(f"the {named(config)}", LAYER_ADVICE):
        x = input_of(config)
    run_layers(config, x)
    with blaming(f"the {named(config)}", LAYER_ADVICE):
        return built(config)


def examine(path: Path, config: Mapping[str, Any]) -> None:
    """Load a file part by part.

    Raises:
        FaultError: A part can't be loaded.
    """
    model = examine_config(config)
    with blaming("its training set-up (optimizer, loss, metrics)", TRAINING_ADVICE):
        made(config)
    # What can't be opened says so in the error that Keras raised.
    with suppress(OSError, KeyError), open_weights(path) as file:
        try:
            found = misfit(model, file)
        except ValueError as error:  # A weight was never made, though the layer says that it is built.
            raise FaultError(f"the {named(config)}: {reason(error)}. {LAYER_ADVICE}") from error
        if found:
            raise FaultError(f"{found}. {WEIGHTS_ADVICE}")


@contextmanager
def blaming(part: str, advice: str) -> Iterator[None]:
    """Say of which part an error is, and what to do."""
    try:
        yield
    except Exception as error:
        raise FaultError(f"{part}: {reason(error)}. {advice}") from error


def run_layers(flow: Mapping[str, Any], x: Any, place: str = "") -> None:
    """Make each layer of a flow by itself and call it on what the one before gives; in a nested flow, its layers first.

    Args:
        flow: The flow's node of a config.
        x: A symbolic input; None where its shape is not known, then the layers are only made.
        place: Where the flow stands.

    Raises:
        FaultError: A layer can't be made or called.
    """
    for where, node in layers_of(flow, place):
        run_layers(node, x, where)
        with blaming(f"{where}, the {named(node)}", LAYER_ADVICE):
            layer = made(node)
            x = None if x is None else layer(x)[0]


def layers_of(flow: Mapping[str, Any], place: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the place and the node of each layer of a flow; nothing where a config holds no such layers."""
    config = flow.get("config")
    layers = config.get("flow_layers") if isinstance(config, Mapping) else None
    for index, node in enumerate(layers if isinstance(layers, list) else []):
        known = node if isinstance(node, dict) else {"class_name": type(node).__name__}
        yield f"{place}{'.' if place else ''}flow_layers[{index}]", known


def check_built(model: Any, config: Mapping[str, Any]) -> None:
    """Build a flow once more, since Keras only warns of a flow that can't be built.

    Args:
        model: What Keras made of the config.
        config: Its config.

    Raises:
        ValueError: Its layers or factors do not fit.
    """
    shape = built_for(config)
    # A subclass may build itself in a way that is done once.
    if shape and type(model).build in (FlowModel.build, DisentanglingFlowModel.build):
        model.build(shape)


def built_for(config: Mapping[str, Any]) -> Any:
    """Return the shape of the inputs, or the two of a pair, for which a model was built; None where it is unknown."""
    build = config.get("build_config")
    shape = build.get("input_shape") if isinstance(build, Mapping) else None
    return shape if isinstance(shape, list) and shape else None


def input_of(config: Mapping[str, Any]) -> Any:
    """Return a symbolic input of a model, the first one of a pair; None where its shape is unknown."""
    shape = built_for(config)
    return None if shape is None else keras.KerasTensor(shape[0] if isinstance(shape[0], list) else shape)


def named(node: Mapping[str, Any]) -> str:
    """Return the class and the name of a node of a config."""
    config = node.get("config")
    name = config.get("name") if isinstance(config, Mapping) else None
    return f"{node.get('class_name')} {name!r}" if name else f"{node.get('class_name')}"
