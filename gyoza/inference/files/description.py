"""Steps as JSON and back: the fields of their classes by name, arrays by the names under which the file holds them.

An object of JSON is one of three: an array, ``{"array": NAME}``; a mapping, ``{"pairs": [[NAME, VALUE], …]}``, in its order;
or of a class, ``{"type": CLASS, FIELD: VALUE, …}``. No name that anybody chooses is a key, so none can be taken for another.
"""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyoza.inference.checks import Check
from gyoza.inference.plan import (
    LARGEST_LINEAR,
    Additive,
    Affine,
    BoundedAffine,
    Coupling,
    Dense,
    DenseNetwork,
    Gather,
    Linear,
    Opaque,
    OpaqueNetwork,
    Origin,
    Rotation,
    Spline,
)

__all__ = ["FORMAT", "KINDS", "build", "build_mapping", "describe"]

FORMAT = 1
"""The format's version. It rises when files of it would be read wrongly, or not at all, by what came before."""
KINDS: Mapping[str, type] = MappingProxyType(
    {
        kind.__name__: kind
        for kind in (
            Additive,
            Affine,
            BoundedAffine,
            Check,
            Coupling,
            Dense,
            DenseNetwork,
            Gather,
            Linear,
            Origin,
            Rotation,
            Spline,
        )
    }
)
"""All that a file may hold."""


def describe(value: Any, name: str, arrays: dict[str, NDArray[Any]]) -> Any:
    """Describe a step, or a part of one, in values that JSON has.

    Args:
        value: What.
        name: Under which name an array is kept, or those below it.
        arrays: Where they are kept.

    Returns:
        Dicts, lists, numbers and texts.

    Raises:
        ValueError: It calls code, and so can't be in a file.
    """
    if isinstance(value, Opaque | OpaqueNetwork):
        raise ValueError(  # noqa: TRY004 - the caller passed a whole flow, of which this is a part.
            f"Only a flow made of known steps can be saved as a plan: linear layers of up to {LARGEST_LINEAR:,} entries along "
            "their axes, and couplings whose networks are chains of Dense layers with common activations. Received: one "
            f"that calls {value.source}. Serve its .keras file instead."
        )
    if isinstance(value, np.ndarray | slice):
        arrays[name] = np.arange(value.start, value.stop) if isinstance(value, slice) else value
        return {"array": name}
    if isinstance(value, tuple | list):
        return [describe(item, f"{name}.{number}", arrays) for number, item in enumerate(value)]
    if is_dataclass(value):
        parts = {
            field.name: describe(getattr(value, field.name), f"{name}.{field.name}", arrays) for field in fields(value)
        }
        return {"type": type(value).__name__, **parts}
    if isinstance(value, Mapping):
        return {"pairs": [[key, describe(item, f"{name}.{key}", arrays)] for key, item in value.items()]}
    if isinstance(value, np.dtype):
        return value.name
    return value.item() if isinstance(value, np.generic) else value


def build(value: Any, arrays: dict[str, NDArray[Any]]) -> Any:
    """Undo ``describe``.

    Args:
        value: What it returned, read from a file that anybody may have written.
        arrays: The file's arrays; each that is named is taken out, so that a file can't stand for more than it holds.

    Returns:
        Steps of the classes in ``KINDS``, tuples, dicts, arrays, numbers and texts; nothing of it is checked further.

    Raises:
        KeyError: It names an array or a class that is not there.
        TypeError: A class has other fields.
        ValueError: A mapping holds a name twice.
    """
    if isinstance(value, list):
        return tuple(build(item, arrays) for item in value)
    if not isinstance(value, dict):
        return value
    if value.keys() == {"array"}:
        return arrays.pop(value["array"])
    if value.keys() == {"pairs"}:
        return build_mapping(value["pairs"], arrays)
    kind = KINDS[value["type"]]
    return kind(**{key: build(item, arrays) for key, item in value.items() if key != "type"})


def build_mapping(pairs: list[list[Any]], arrays: dict[str, NDArray[Any]]) -> dict[Any, Any]:
    """Build a mapping from its names and values, in their order."""
    mapping = {name: build(item, arrays) for name, item in pairs}
    if len(mapping) != len(pairs):
        raise ValueError("a mapping must hold each name once")
    return mapping
