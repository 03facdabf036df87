"""Weights without a config: files of ``save_weights``, and which layer they do not fit."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import h5py
import numpy as np
from keras import ops

from gyoza.loading.archive import copy_of, open_weights, unreadable
from gyoza.loading.arrays import UNREADABLE, count_numbers
from gyoza.loading.errors import LoadError, reason
from gyoza.modelling.flow_layers import FlowModel

__all__ = ["load_weights", "misfit"]

ENDING = ".weights.h5"


def load_weights(model: Any, path: str | PathLike[str]) -> None:
    """Fill a model with the weights of a ``.weights.h5`` file, written by this library or by gyoza 0.3.

    It does what ``model.load_weights`` does, and more where the file does not fit: the error names the layer, the model
    keeps the weights that it had, and a file with more layers than the model is refused.

    Args:
        model: A built model, of the same layers as the one whose weights were saved, in the same order. Permutations and
            whether an ``ActivationNormalization`` was initialised come from the file; weights of gyoza 0.3 count as
            initialised. An optimizer's state is read too where the model is compiled and its optimizer is built.
        path: The file.

    Raises:
        LoadError: There is no such file, it is no whole file of weights, or it does not fit the model.
        ValueError: The model is not built.

    Example:
        >>> import pathlib, tempfile
        >>> import numpy as np
        >>> from gyoza.loading import load_weights
        >>> from gyoza.modelling.flow_layers import FlowModel, ShufflePermutation
        >>> latents = np.arange(5.0)[None]
        >>> flow, again = (FlowModel([ShufflePermutation(shape=[5], axes=[1], seed=seed)]) for seed in (0, 1))
        >>> (codes, _), (others, _) = flow(latents), again(latents)
        >>> bool((np.asarray(codes) == np.asarray(others)).all())
        False
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     flow.save_weights(pathlib.Path(folder) / "flow.weights.h5")
        ...     load_weights(again, pathlib.Path(folder) / "flow.weights.h5")
        >>> bool((np.asarray(codes) == np.asarray(again(latents)[0])).all())
        True
    """
    given = Path(path)
    if not model.built:
        raise ValueError(
            f"{model.name} must be built before it is filled; call it on a batch of latents, or build([None, …]). "
            "Received: built=False"
        )
    if not given.name.endswith(ENDING):  # Keras reads other endings by other readers.
        raise LoadError(f"{given.name} must be a {ENDING} file. Received: the ending {given.suffix!r}")
    with copy_of(given) as (copy, _):
        fill(model, copy)


def fill(model: Any, path: Path) -> None:
    """Fill a model from a copy that nobody changes; for errors see ``load_weights``."""
    check_file(model, path)
    variables = [*model.variables, *getattr(getattr(model, "optimizer", None), "variables", [])]
    before = [np.array(ops.convert_to_numpy(variable)) for variable in variables]
    try:
        model.load_weights(path)
    except Exception as error:  # Keras raises whatever its layers raise.
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)
        with open_weights(path) as file:
            why = misfit(model, file) or reason(error)
        raise does_not_fit(model, path, why) from error


def check_file(model: Any, path: Path) -> None:
    """Refuse what is no file of weights, and one of a model with more layers, of which Keras would leave some aside.

    Raises:
        LoadError: It is such a file.
    """
    try:
        with open_weights(path) as file:
            count_numbers(file, path.stat().st_size)
            layers = file.get("layers", {})
            saved = list(layers) if isinstance(layers, Mapping) else None
    except UNREADABLE as error:
        raise unreadable(path, error) from error
    if saved is None:
        raise LoadError(f"{path.name} must hold a group of layers, as written by save_weights(). Received: an array")
    if len(saved) > len(model.layers):
        raise does_not_fit(
            model, path, f"it holds more layers than the model's {len(model.layers)}: {', '.join(saved)}"
        )


def does_not_fit(model: Any, path: Path, why: str) -> LoadError:
    """Say why a file of weights does not fit a model, and what would."""
    return LoadError(
        f"{path.name} does not fit {model.name}. {why}. Make the model of the same layers, in the same order and of the "
        "same sizes, as the one whose weights were saved"
    )


def misfit(model: Any, file: h5py.File) -> str | None:
    """Say which layer of a model a file of weights does not fit.

    Args:
        model: A built model.
        file: What Keras could not load into it.

    Returns:
        The first layer of the flow, and what of it the file lacks or holds in another shape; None if all fits.
    """
    with as_written(model) as expected:
        for where, group in places(model, expected):
            for path, shape in shapes(group).items():
                found = file.get(f"{group.name}/{path}")
                if not isinstance(found, h5py.Dataset):
                    return f"{where}: its weight {path} of the shape {shape} is missing"
                if list(found.shape) != shape:
                    return (
                        f"{where}: its weight {path} must have the shape {shape}. Received: shape={list(found.shape)}"
                    )
    return None


@contextmanager
def as_written(model: Any) -> Iterator[h5py.File]:
    """Open the weights of a model as Keras writes them, which tells where in a file it looks for them."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"expected{ENDING}"
        model.save_weights(path)
        with h5py.File(path) as file:
            yield file


def places(model: Any, group: h5py.Group, place: str = "") -> Iterator[tuple[str, h5py.Group]]:
    """Yield each layer of a flow in order, those of a nested flow in its place, and at last the model as a whole.

    Args:
        model: The model.
        group: Where its weights stand in a file of it.
        place: Where it stands itself.

    Yields:
        The layer in words, and where its weights stand.
    """
    if isinstance(model, FlowModel) and "layers" in group:
        groups = {part["vars"].attrs["name"]: part for part in group["layers"].values()}
        for index, layer in enumerate(model._flow_layers_):
            if layer.name in groups:
                yield from places(layer, groups[layer.name], f"{place}{'.' if place else ''}flow_layers[{index}]")
    yield f"{place}{', ' if place else ''}the {type(model).__name__} {model.name!r}", group


def shapes(group: h5py.Group) -> dict[str, list[int]]:
    """Return the shape of each weight under a group, but not of the optimizer, nor of flags, which gyoza 0.3 lacks."""
    found: dict[str, list[int]] = {}

    def note(path: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.dtype != bool and not path.startswith("optimizer/"):
            found[path] = list(item.shape)

    group.visititems(note)
    return found
