"""How much memory a config asks for, told before any is taken: it takes a few bytes to ask for a billion units.

A model is first made in a scope of Keras in which variables have shapes and no values. That happens in a thread of its own,
since Keras remembers such variables in the thread, to give them values once no scope is open.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from math import prod
from typing import Any, TypeVar

from gyoza.allow_list import named_nodes, whereabouts
from gyoza.inference.files.rules import require
from gyoza.modelling import keras
from gyoza.modelling.original import SIZES, is_of_gyoza

__all__ = ["check_numbers", "check_shapes", "made", "without_values"]

SPARE_NUMBERS = 2**20
"""Weights that a config may ask for beyond those that are stored: 4 MB, in which what is saved nowhere has its place."""
MOST_ENTRIES = 2**23
"""Of all masks, permutations and matrices that layers and losses make of sizes: 32 MB in float32, and some times that while
they are made. A config of the largest size has room for fewer, and Keras writes them out."""
LARGEST_ACTIVATION = 2**24
"""Numbers that a layer may make of one row: 64 channels of an image of 512×512."""
ARRANGED = ("Mask", "Permutation", "Loss")
"""How the classes are called that make arrays of sizes alone."""
MOST_NODES = 50_000
"""Objects that a config may name: a layer and its parts take a dozen, and a millisecond each."""

T = TypeVar("T")


def check_shapes(config: Mapping[str, Any], stored: int) -> None:
    """Refuse a config for which NumPy would make large arrays before any weight is.

    Args:
        config: What Keras serialised, in the names of this library.
        stored: The numbers in the file of weights.

    Raises:
        ValueError: It is such a one.
    """
    nodes = list(named_nodes(config))
    require(len(nodes) <= MOST_NODES, f"it must name at most {MOST_NODES:,} objects. Received: {len(nodes):,}")
    shaped = [(node["class_name"], size_of(node, where)) for where, node in nodes if is_of_gyoza(node.get("module"))]
    entries = sum(size for name, size in shaped if name.endswith(ARRANGED))
    require(
        entries <= MOST_ENTRIES, f"its layers' shapes must hold {MOST_ENTRIES:,} entries at most. Received: {entries:,}"
    )
    drawn = sum(numbers_drawn(name, size) for name, size in shaped)
    require(drawn <= stored + SPARE_NUMBERS, beyond(drawn, stored, "its permutations and matrices"))


def size_of(node: Mapping[str, Any], place: str) -> int:
    """Return how many entries what a class makes of the sizes in its config has; 0 where there are none in it.

    Args:
        node: Of a config; names a class of gyoza.
        place: Where it stands, in words.

    Raises:
        ValueError: What must be sizes is something else; nothing is made of it before it is known what.
    """
    config = node.get("config")
    given = config if isinstance(config, Mapping) else {}
    shape, factors = (sizes_in(given[name], name, node, place) if name in given else None for name in ("shape", SIZES))
    # What no class takes both of may be refused only after something was made of one.
    return (prod(shape) if shape else 0) + (len(factors) * sum(factors) if factors else 0)


def sizes_in(value: Any, name: str, node: Mapping[str, Any], place: str) -> list[int]:
    """Return a list of sizes; for arguments and errors see ``size_of``."""
    require(
        isinstance(value, list) and bool(value) and all(type(size) is int and size >= 1 for size in value),
        f"the {node['class_name']}{whereabouts(node, place)}: {name} must hold integers only, of 1 or more. Received: {name}={value!s:.80}",
    )
    sizes: list[int] = value
    return sizes


def numbers_drawn(name: str, size: int) -> int:
    """Return how many numbers NumPy makes for a layer's weights where its constructor or build does so."""
    if name == "InvertibleLinear":
        return 2 * size**2
    return 2 * size if name.endswith("Permutation") else 0


def check_numbers(parts: Sequence[Any], stored: int) -> None:
    """Refuse a model that asks for more weights than are stored, or makes more of a row than one may.

    Args:
        parts: What ``without_values`` made: the model, or layers of it.
        stored: The numbers in the file of weights.

    Raises:
        ValueError: It is such a one; the text names the largest weight, or the layer.
    """
    weights = [(prod(map(int, variable.shape)), variable.path) for part in parts for variable in part.variables]
    asked = sum(size for size, _ in weights)
    require(
        asked <= stored + SPARE_NUMBERS, beyond(asked, stored, f"most of them in {max(weights, default=(0, None))[1]}")
    )
    for layer in (layer for part in parts for layer in [part, *layers_in(part)]):
        made_of_a_row = max(map(numbers_in, outputs_of(layer)), default=0)
        require(
            made_of_a_row <= LARGEST_ACTIVATION,
            f"{type(layer).__name__} {layer.name!r} must make at most {LARGEST_ACTIVATION:,} numbers of a row. "
            f"Received: {made_of_a_row:,}",
        )


def beyond(asked: int, stored: int, what: str) -> str:
    """Say that a config asks for more than is there."""
    return f"its config must ask for no more weights than its file holds, which are {stored:,}. Received: {asked:,}, {what}"


def layers_in(model: Any) -> list[Any]:
    """Return the layers of a model, those in layers included."""
    return list(model._flatten_layers(include_self=False))


def outputs_of(layer: Any) -> Iterator[Any]:
    """Yield what a layer gave wherever a flow or a network of Keras called it."""
    for node in layer._inbound_nodes:
        yield from node.output_tensors


def numbers_in(tensor: Any) -> int:
    """Return how many numbers of one row a tensor holds."""
    return prod(size for size in tensor.shape if size is not None)


def without_values(make: Callable[[], T]) -> T:
    """Make layers whose weights have shapes and no values, and so take no memory; nothing of them may be computed.

    Args:
        make: What makes them, of what was checked to hold no foreign code.

    Returns:
        What it returned.

    Raises:
        Exception: Whatever it raises.
    """

    def run() -> T:
        with keras.StatelessScope(initialize_variables=False):
            return make()

    with ThreadPoolExecutor(1, "gyoza-sizes") as executor:
        return executor.submit(run).result()


def made(node: Mapping[str, Any]) -> Any:
    """Deserialise a node of a config, which stays as it is.

    Raises:
        KeyError: It has no config itself; Keras would give it back as it is.
    """
    return keras.saving.deserialize_keras_object(deepcopy({**node, "config": node["config"]}), safe_mode=True)
