"""What a file's flow is made of, told and not run."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from gyoza.inference import Plan
from gyoza.loading.errors import LoadError
from gyoza.loading.models import read_with_digest
from gyoza.modelling import flow_layers

__all__ = ["Description", "LayerNote", "describe_flow"]


@dataclass(frozen=True)
class LayerNote:
    """What there is to tell of one layer."""

    name: str
    kind: str
    """Its class."""
    parameters: int
    """How many numbers its weights hold."""
    output_shape: tuple[int | None, ...]
    """Of one row."""


@dataclass(frozen=True, eq=False)
class Description:
    """A flow as its file tells it, unproven."""

    layers: tuple[LayerNote, ...]
    plan: Plan
    digest: str
    """The SHA-256 of the file, in hexadecimal."""


def describe_flow(path: Path, trusted_modules: Iterable[str] = ()) -> Description:
    """Describe the flow of a ``.keras`` file without running it.

    Args:
        path: The file, as for ``load_flow``.
        trusted_modules: As for ``load_flow``.

    Returns:
        Its layers, and the plan that it is lowered to.

    Raises:
        LoadError: As for ``load_flow``.

    Example:
        >>> import pathlib, tempfile
        >>> from gyoza.loading import describe_flow
        >>> from gyoza.modelling.flow_layers import FlowModel, HeavisidePermutation
        >>> flow = FlowModel([HeavisidePermutation(shape=[2], axes=[1], name="swap")])
        >>> flow.build((None, 2))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     flow.save(f"{folder}/flow.keras")
        ...     describe_flow(pathlib.Path(folder) / "flow.keras").layers
        (LayerNote(name='swap', kind='HeavisidePermutation', parameters=4, output_shape=(2,)),)
    """
    model, digest = read_with_digest(path, trusted_modules)
    if not isinstance(model, flow_layers.FlowModel):
        raise LoadError(f"{path.name} must hold a FlowModel or a subclass of it. Received: {type(model).__name__}")
    try:
        plan = model.lower()
    except ValueError as error:
        raise LoadError(f"{path.name} can't be compiled: {error}") from error
    shapes = model._layer_shapes_[1:]
    layers = (
        LayerNote(layer.name, type(layer).__name__, layer.count_params(), tuple(shape))
        for layer, shape in zip(model._flow_layers_, shapes, strict=True)
    )
    return Description(tuple(layers), plan, digest)
