"""Files to Keras models."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from os import PathLike
from pathlib import Path
from typing import Any

from gyoza.allow_list import TRAINING, Allowed, ForeignClassError, check_classes
from gyoza.loading.archive import Archive, open_archive, open_weights, rewritten
from gyoza.loading.arrays import UNREADABLE, count_numbers
from gyoza.loading.diagnosis import FaultError, built, built_alone, check_built, diagnose, diagnose_config
from gyoza.loading.errors import LoadError, reason
from gyoza.loading.sizes import check_numbers, check_shapes, without_values
from gyoza.loading.trusted import import_trusted
from gyoza.modelling import flow_layers, keras
from gyoza.modelling.losses import SupervisedFactorLoss
from gyoza.modelling.original import lacks_sizes, renamed, with_sizes

__all__ = ["load_model", "read_model", "read_with_digest"]


def load_model(
    path: str | PathLike[str],
    *,
    compile: bool = True,
    dimensions_per_factor: Sequence[int] | None = None,
    trusted_modules: Iterable[str] = (),
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
        trusted_modules: Modules that are imported first, so that they register classes that the file names.

    Returns:
        The model, compiled where it was when it was saved.

    Raises:
        LoadError: The file is no whole archive of Keras, names a class that may not be loaded, asks for more weights than
            it holds, or its parts do not fit together; or a trusted module can't be imported.
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
    allowed = Allowed(own_code=True, training=compile, modules=import_trusted(trusted_modules))
    with open_archive(Path(path), assets=True) as archive:
        ours = checked(archive, allowed)
        if dimensions_per_factor is None:
            return restore(archive, ours, compile=compile)
        if not compile or not lacks_sizes(archive.config.get(TRAINING)):
            raise ValueError(
                "dimensions_per_factor is for a file whose SupervisedFactorLoss lacks it, loaded with compile=True; leave "
                f"it out for {archive.path.name}. Received: dimensions_per_factor={list(dimensions_per_factor)}, "
                f"compile={compile}"
            )
        sizes = SupervisedFactorLoss(dimensions_per_factor).get_config()["dimensions_per_factor"]
        ours[TRAINING] = with_sizes(ours[TRAINING], sizes)
        model = restore(archive, ours, compile=True)
    check_sizes(model, sizes)
    return model


def read_model(path: Path, trusted_modules: Iterable[str] = ()) -> Any:
    """Deserialise a ``.keras`` file after every class that it names was found on the list.

    Args:
        path: The file.
        trusted_modules: Modules that are imported first, and whose registered classes are on the list too.

    Returns:
        The Keras model, not compiled for training.

    Raises:
        LoadError: The file is no whole archive of Keras, names a class that is not on the list, asks for more weights than
            it holds, or its parts do not fit together; or a trusted module can't be imported.
    """
    return read_with_digest(path, trusted_modules)[0]


def read_with_digest(path: Path, trusted_modules: Iterable[str] = ()) -> tuple[Any, str]:
    """Do what ``read_model`` does, and return the SHA-256 of the bytes that were read too."""
    allowed = Allowed(modules=import_trusted(trusted_modules))
    with open_archive(path, assets=bool(allowed.modules)) as archive:
        return restore(archive, checked(archive, allowed), compile=False), archive.digest


def checked(archive: Archive, allowed: Allowed) -> dict[str, Any]:
    """Return a file's config in the names of this library, after it was found to ask for nothing that it may not.

    Raises:
        LoadError: It names a class that is not allowed, or asks for more memory than its weights fill.
    """
    try:
        check_classes(archive.config, allowed)
    except ForeignClassError as error:
        raise LoadError(f"{archive.path.name} can't be loaded: {error}") from error
    ours: dict[str, Any] = renamed(archive.config)
    try:
        stored = numbers_stored(archive.path)
        check_shapes(ours if allowed.training else {**ours, TRAINING: None}, stored)
        check_numbers(sketched(archive, ours), stored)
    except UNREADABLE as error:
        raise LoadError(f"{archive.path.name} can't be loaded. {reason(error)}. Save the model anew") from error
    return ours


def numbers_stored(path: Path) -> int:
    """Return how many numbers the weights in an archive are, after a look at everything that is stored with them."""
    with open_weights(path) as file:
        return count_numbers(file, file.id.get_filesize())


def sketched(archive: Archive, config: dict[str, Any]) -> list[Any]:
    """Make the model of a config with weights that have no values.

    Returns:
        The model; or its plain layers, where the code of others in it can't do without values.

    Raises:
        LoadError: No model can be made of the config; the text names the layer where that lies in one.
    """
    try:
        model = without_values(lambda: built(config))
    except Exception as error:  # Keras raises whatever its layers raise.
        if names_own_code(archive.config):
            return sketched_parts(archive, config)
        raise LoadError(f"{archive.path.name} can't be loaded. {diagnose_config(config, error)}") from error
    if not isinstance(model, keras.Model):
        raise LoadError(f"{archive.path.name} must hold a model, such as a FlowModel. Received: {type(model).__name__}")
    return [model]


def sketched_parts(archive: Archive, config: dict[str, Any]) -> list[Any]:
    """Make the plain layers of a config with weights that have no values; for errors see ``sketched``."""
    try:
        return without_values(lambda: built_alone(config))
    except FaultError as fault:
        raise LoadError(f"{archive.path.name} can't be loaded. {fault}") from fault


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


def restore(archive: Archive, config: dict[str, Any], *, compile: bool) -> Any:
    """Deserialise a file as if it held another config than the one that was written.

    Raises:
        LoadError: Keras can't; the text names the layer where that lies in one.
    """
    with nullcontext(archive.path) if config == archive.config else rewritten(archive.path, config) as file:
        try:
            model = keras.saving.load_model(file, compile=compile, safe_mode=True)
            check_built(model, config)
        except Exception as error:  # Keras raises whatever its layers raise.
            fault = diagnose(file, config if compile else {**config, TRAINING: None}, error)
            raise LoadError(f"{file.name} can't be loaded. {fault}") from error
    return model


def names_own_code(config: Mapping[str, Any]) -> bool:
    """Whether a config, of which everything is allowed, names more than the classes of gyoza and plain ones of Keras."""
    try:
        check_classes(config)
    except ForeignClassError:
        return True
    return False
