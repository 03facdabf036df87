"""What a file may name: the classes of gyoza and plain Keras ones, none that holds code or reads files."""

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from gyoza.modelling import flow_layers, keras, losses, masks

GYOZA_CLASSES = frozenset({*flow_layers.__all__, *masks.__all__, *losses.__all__, "_PositiveConstraint_"})
KERAS_LAYER_NAMES = """
Activation Add AveragePooling1D AveragePooling2D BatchNormalization Concatenate Conv1D Conv2D Dense DepthwiseConv2D
Dropout ELU Flatten Functional GaussianDropout GaussianNoise GlobalAveragePooling1D GlobalAveragePooling2D
GroupNormalization Identity InputLayer LayerNormalization LeakyReLU MaxPooling1D MaxPooling2D Multiply PReLU Permute
RMSNormalization ReLU RepeatVector Reshape SeparableConv2D Sequential Softmax SpectralNormalization Subtract
UnitNormalization UpSampling1D UpSampling2D ZeroPadding1D ZeroPadding2D
"""
KERAS_LAYERS = frozenset(KERAS_LAYER_NAMES.split())
KERAS_LAYER_MODULES = frozenset({"keras", "keras.layers", "keras.models", "keras.src.models.functional"})
KERAS_PARTS = frozenset({"initializers", "constraints", "regularizers", "dtype_policies"})
"""Modules of Keras whose classes hold numbers only."""
MARKERS = frozenset({"__tuple__", "__keras_tensor__"})
"""What Keras writes where JSON has no word for a value."""
ORIGINAL_PACKAGE = "Custom"
"""The package under which gyoza 0.3 registered its classes."""


class ForeignClassError(Exception):
    """A config names something that may not be deserialised; the text says what, and in which layer."""


def check_classes(config: Mapping[str, Any]) -> None:
    """Refuse a config that names anything which is neither one of gyoza's classes nor a plain one of Keras.

    Args:
        config: What Keras serialised. A ``compile_config`` at its top is left aside, as loading leaves it aside.

    Raises:
        ForeignClassError: It names something else, be it a class, or a registered function as a text.
    """
    untrained = {key: value for key, value in config.items() if key != "compile_config"}
    for node in named_nodes(untrained):
        if not is_known(node):
            raise foreign(title(node), node)
        for text in texts(node.get("config")):
            # Keras looks texts up too, such as an activation's: a registered object has the name package>name.
            if ">" in text:
                raise foreign(text, node)


def title(node: Mapping[str, Any]) -> str:
    """Return what a node names: the registered name where that differs from the class's, since Keras goes by it."""
    name, registered = node["class_name"], node.get("registered_name")
    return str(registered) if registered not in {None, str(name)} else f"{node.get('module')}.{name}"


def foreign(name: str, node: Mapping[str, Any]) -> ForeignClassError:
    """Say which name may not be deserialised, and where it stands."""
    config = node.get("config")
    layer = config.get("name") if isinstance(config, Mapping) else None
    where = f" (layer {layer!r})" if layer else ""
    return ForeignClassError(
        f"it names {name}{where}, which is neither a gyoza class nor one of the plain Keras classes that may be loaded; "
        "save a flow made of those"
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


def texts(value: Any) -> Iterator[str]:
    """Yield the texts of a config, but not those of the nodes in it, nor names that only title a layer."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict) and "class_name" not in value:
        for key, item in value.items():
            if key != "name":
                yield from texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)


def is_known(node: Mapping[str, Any]) -> bool:
    """Whether a node of a config names a class that may be deserialised."""
    module, name = node.get("module"), node["class_name"]
    if not isinstance(name, str) or node.get("compile_config"):
        return False
    if module is None:
        return name in MARKERS and node.get("registered_name") is None
    if is_of_gyoza(module):
        names = {name, f"gyoza>{name}", f"{ORIGINAL_PACKAGE}>{name}"}
        return name in GYOZA_CLASSES and node.get("registered_name") in names
    return node.get("registered_name") in {None, name} and is_plain_keras(module, name)


def is_of_gyoza(module: Any) -> bool:
    """Whether a module is one of gyoza's that hold layers."""
    return isinstance(module, str) and f"{module}.".startswith("gyoza.modelling.")


def is_plain_keras(module: Any, name: str) -> bool:
    """Whether a class of Keras is on the list: a layer by its name, or any class of the modules that hold numbers."""
    if module in KERAS_LAYER_MODULES:
        return name in KERAS_LAYERS or (module, name) == ("keras", "DTypePolicy")
    part = module.removeprefix("keras.") if isinstance(module, str) else None
    return part in KERAS_PARTS and inspect.isclass(getattr(getattr(keras, part), name, None))


def renamed(value: Any) -> Any:
    """Return a config in which the classes that gyoza 0.3 registered bear the names under which ours are."""
    if isinstance(value, list):
        return [renamed(item) for item in value]
    if not isinstance(value, dict):
        return value
    changed = {key: renamed(item) for key, item in value.items()}
    if is_of_gyoza(value.get("module")) and value.get("registered_name") is not None:
        changed["registered_name"] = f"gyoza>{value['class_name']}"
    return changed
