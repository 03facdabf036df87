"""Files to Keras models."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from os import PathLike
from pathlib import Path
from typing import Any

from gyoza.allow_list import STRICT, TRAINING, Allowed, ForeignClassError, check_classes
from gyoza.loading.archive import read_config, rewritten
from gyoza.loading.diagnosis import check_built, diagnose
from gyoza.loading.errors import LoadError
from gyoza.modelling import flow_layers, keras
from gyoza.modelling.losses import SupervisedFactorLoss
from gyoza.modelling.original import lacks_sizes, renamed, with_sizes

__all__ = ["load_model", "read_model"]


def load_model(
    path: str | PathLike[str], *, compile: bool = True, dimensions_per_factor: Sequence[int] | None = None
) -> Any:
    """Load the Keras model of a ``.keras`` file, written by this library or by gyoza 0.3.

    It does what ``keras.saving.load_model`` does in safe mode, but loads only classes of gyoza, plain ones of Keras, and
    those that the running program registered with ``keras.saving.register_keras_serializable``; and where a part of the
    file can't be read, the error names the layer. Classes of gyoza 0.3 are loaded as ours even where the program has
    registered its own under the same name.

    A model that gyoza 0.3 saved compiled lacks the sizes of the factors in its loss. Unless they are given, the model is
    compiled with its optimizer only, and a warning says how to go on.

    Args:
        path: The file.
        compile: Whether to restore optimizer, loss and metrics too, where the file holds them.
        dimensions_per_factor: The sizes of the factors, the residual factor first, for a file whose
            ``SupervisedFactorLoss`` lacks them. Loss and optimizer then go on where they were when the file was saved.

    Returns:
        The model, compiled where it was when it was saved.

    Raises:
        LoadError: The file is no whole archive of Keras, names a class that may not be loaded, or its parts do not fit
            together.
        ValueError: ``dimensions_per_factor`` is given for a file whose loss does not lack it, holds a size below 1, or
            does not add up to the size of the code.
        TypeError: One of its sizes is no integer.

    Example:
        >>> import pathlib, tempfile
        >>> import numpy as np
        >>> from gyoza.loading import load_model
        >>> from gyoza.modelling.flow_layers import FlowModel, HeavisidePermutation
        >>> flow = FlowModel([HeavisidePermutation(shape=[3], axes=[1])])
        >>> codes, logdet = flow(np.array([[1.0, 2.0, 3.0]]))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     flow.save(pathlib.Path(folder) / "flow.keras")
        ...     loaded = load_model(pathlib.Path(folder) / "flow.keras")
        >>> np.asarray(loaded.invert(codes)).tolist()
        [[1.0, 2.0, 3.0]]
    """
    path = Path(path)
    config = read_config(path)
    ours = checked(path, config, Allowed(own_code=True, training=compile))
    if dimensions_per_factor is None:
        return restore(path, config, ours, compile=compile)
    if not compile or not lacks_sizes(config.get(TRAINING)):
        raise ValueError(
            f"dimensions_per_factor is for a file whose SupervisedFactorLoss lacks it, loaded with compile=True; leave "
            f"it out for {path.name}. Received: dimensions_per_factor={list(dimensions_per_factor)}, compile={compile}"
        )
    sizes = SupervisedFactorLoss(dimensions_per_factor).get_config()["dimensions_per_factor"]
    ours[TRAINING] = with_sizes(ours[TRAINING], sizes)
    model = restore(path, config, ours, compile=True)
    check_sizes(model, sizes)
    return model


def read_model(path: Path) -> Any:
    """Deserialise a ``.keras`` file after every class that it names was found on the list.

    Args:
        path: The file.

    Returns:
        The Keras model, not compiled for training.

    Raises:
        LoadError: The file is no whole archive of Keras, names a class that is not on the list, or its parts do not fit
            together.
    """
    config = read_config(path)
    return restore(path, config, checked(path, config, STRICT), compile=False)


def checked(path: Path, config: Mapping[str, Any], allowed: Allowed) -> dict[str, Any]:
    """Return a file's config in the names of this library, after every name in it was found to be allowed.

    Raises:
        LoadError: One is not.
    """
    try:
        check_classes(config, allowed)
        ours: dict[str, Any] = renamed(config)
    except ForeignClassError as error:
        raise LoadError(f"{path.name} can't be loaded: {error}") from error
    except RecursionError as error:
        raise LoadError(
            f"{path.name} can't be loaded: its config is nested too deeply to be a model's; save the model anew"
        ) from error
    return ours


def check_sizes(model: Any, sizes: Sequence[int]) -> None:
    """Refuse sizes of factors that do not add up to the size of a model's codes.

    Raises:
        ValueError: They do not.
    """
    size = model._layer_shapes_[-1][-1] if isinstance(model, flow_layers.FlowModel) and model.built else None
    if size not in (None, sum(sizes)):
        raise ValueError(
            f"dimensions_per_factor must add up to the code's {size}. Received: dimensions_per_factor={list(sizes)}"
        )


def restore(path: Path, written: Mapping[str, Any], config: dict[str, Any], *, compile: bool) -> Any:
    """Deserialise a file as if it held another config than the one that was written.

    Raises:
        LoadError: Keras can't; the text names the layer where that lies in one.
    """
    with nullcontext(path) if config == written else rewritten(path, config) as file:
        try:
            model = keras.saving.load_model(file, compile=compile, safe_mode=True)
            check_built(model, config)
        except Exception as error:  # Keras raises whatever its layers raise.
            fault = diagnose(file, config if compile else {**config, TRAINING: None}, error)
            raise LoadError(f"{path.name} can't be loaded. {fault}") from error
    return model
