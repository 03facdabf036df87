"""What a file may name: the classes of gyoza and plain Keras ones, none that holds code or reads files."""

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any

import gyoza
from gyoza.modelling import flow_layers, keras, losses, masks
from gyoza.modelling.original import ORIGINAL_PACKAGE, is_of_gyoza

__all__ = [
    "GYOZA_CLASSES",
    "KERAS_LAYERS",
    "KERAS_LAYER_MODULES",
    "STRICT",
    "TRAINING",
    "Allowed",
    "ForeignClassError",
    "check_classes",
    "is_known",
    "named_nodes",
    "whereabouts",
]

GYOZA_CLASSES = frozenset({*flow_layers.__all__, *masks.__all__, "_PositiveConstraint_"})
GYOZA_LOSSES = frozenset(losses.__all__)
"""What only a training set-up may name."""
KERAS_LAYER_NAMES = """
Activation Add AveragePooling1D AveragePooling2D BatchNormalization Concatenate Conv1D Conv2D Dense DepthwiseConv2D
Dropout ELU Flatten Functional GaussianDropout GaussianNoise GlobalAveragePooling1D GlobalAveragePooling2D
GroupNormalization Identity InputLayer LayerNormalization LeakyReLU MaxPooling1D MaxPooling2D Multiply PReLU Permute
RMSNormalization ReLU RepeatVector Rescaling Reshape SeparableConv2D Sequential Softmax SpectralNormalization Subtract
UnitNormalization UpSampling1D UpSampling2D ZeroPadding1D ZeroPadding2D
"""
KERAS_LAYERS = frozenset(KERAS_LAYER_NAMES.split())
KERAS_LAYER_MODULES = frozenset({"keras", "keras.layers", "keras.models", "keras.src.models.functional"})
KERAS_PARTS = frozenset({"initializers", "constraints", "regularizers", "dtype_policies"})
"""Modules of Keras whose classes hold numbers only."""
KERAS_TRAINING_PARTS = frozenset({"optimizers", "optimizers.schedules", "losses", "metrics"})
"""The same for what a training set-up names."""
KERAS_FUNCTIONS = ("losses", "metrics")
"""Modules of Keras whose functions a training set-up may name; these of them make things of configs instead."""
NO_LOSSES = frozenset({"deserialize", "get", "serialize"})
MARKERS = frozenset({"__tuple__", "__keras_tensor__"})
"""What Keras writes where JSON has no word for a value."""
NAMES = frozenset({"module", "class_name", "registered_name"})
"""What a node says of itself; all else in it is for the class."""
TRAINING = "compile_config"
"""Where a config holds a model's optimizer, loss and metrics."""


class ForeignClassError(Exception):
    """A config names something that may not be deserialised; the text says what, and in which layer."""


@dataclass(frozen=True)
class Allowed:
    """What may be named beside the classes of gyoza and plain layers of Keras."""

    own_code: bool = False
    """Whether what the running program registered with Keras may be: it is loaded as Keras loads it."""
    training: bool = False
    """Whether a training set-up at the top of the config is read, and may name what Keras trains with."""
    modules: frozenset[str] = frozenset()
    """Modules and packages that are trusted: what they registered with Keras may be named."""

    def trusts(self, module: str) -> bool:
        """Whether what a module registered with Keras may be named; what gyoza registers is on the list or not."""
        if f"{module}.".startswith("gyoza."):
            return False
        return self.own_code or any(f"{module}.".startswith(f"{trusted}.") for trusted in self.modules)


STRICT = Allowed()


def check_classes(config: Mapping[str, Any], allowed: Allowed = STRICT) -> None:
    """Refuse a config that names anything which may not be deserialised.

    Args:
        config: What Keras serialised. Its training set-up is left aside where loading leaves it aside.
        allowed: What may be named beside the classes of gyoza and plain ones of Keras.

    Raises:
        ForeignClassError: It names something else, be it a class, or a registered function as a text.
    """
    untrained = {key: value for key, value in config.items() if key != TRAINING}
    check_nodes(untrained, replace(allowed, training=False))
    if allowed.training:
        training = config.get(TRAINING)
        check_texts(training, {"class_name": TRAINING}, TRAINING, allowed)
        check_nodes(training, allowed, TRAINING)


def check_nodes(value: Any, allowed: Allowed, place: str = "") -> None:
    """Refuse a part of a config if a node in it names something that may not be deserialised."""
    for where, node in named_nodes(value, place):
        if not is_known(node, allowed):
            is_newer = bears_name_of_gyoza(node) and node["class_name"] not in GYOZA_LOSSES
            raise newer(node, where) if is_newer else foreign(title(node), node, where, allowed)
        check_texts({key: item for key, item in node.items() if key not in NAMES}, node, where, allowed)


def check_texts(value: Any, node: Mapping[str, Any], place: str, allowed: Allowed) -> None:
    """Refuse the texts of a node that name something registered which may not be deserialised."""
    for text in texts(value):
        # Keras looks texts up too, such as an activation's: a registered object has the name package>name.
        if ">" in text and not is_own(text, allowed):
            raise foreign(text, node, place, allowed)


def title(node: Mapping[str, Any]) -> str:
    """Return what a node names: the registered name where that differs from the class's, since Keras goes by it."""
    name, registered = node["class_name"], node.get("registered_name")
    if name == "function":
        return f"the function {node.get('config')}"
    called = str(registered) if registered not in (None, name) else f"{node.get('module')}.{name}"
    return f"the training set-up of {called}" if node.get(TRAINING) else called


def foreign(name: str, node: Mapping[str, Any], place: str, allowed: Allowed) -> ForeignClassError:
    """Say which name may not be deserialised, where it stands, and what to do."""
    advice = (
        "save a flow made of those, or name the module that registers it in trusted_modules (GYOZA_TRUSTED_MODULES of the "
        "service)"
    )
    if place == TRAINING:
        advice = "register it with Keras before, or load the file with compile=False"
    elif allowed.own_code:
        advice = "import what registers it with Keras before, or save a flow made of those"
    return ForeignClassError(
        f"it names {name}{whereabouts(node, place)}, which is neither a gyoza class nor one of the plain Keras classes "
        f"that may be loaded; {advice}"
    )


def newer(node: Mapping[str, Any], place: str) -> ForeignClassError:
    """Say which class of gyoza this version does not have, and where it stands."""
    return ForeignClassError(
        f"it names {title(node)}{whereabouts(node, place)}, a class that gyoza {gyoza.__version__} does not have; load it "
        "with the version that wrote it, or a newer one"
    )


def whereabouts(node: Mapping[str, Any], place: str) -> str:
    """Return the name of a node's layer and its place in the flow, as far as they are known."""
    config = node.get("config")
    layer = config.get("name") if isinstance(config, Mapping) and place != TRAINING else None
    parts = [part for part in (f"layer {layer!r}" if layer else "", place) if part]
    return f" ({', '.join(parts)})" if parts else ""


def named_nodes(value: Any, place: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every dict of a config that names a class, however deep, with the flow layer in which it stands."""
    if isinstance(value, dict):
        if "class_name" in value:
            yield place, value
        for key, item in value.items():
            yield from layer_nodes(item, place) if key == "flow_layers" else named_nodes(item, place)
    elif isinstance(value, list):
        for item in value:
            yield from named_nodes(item, place)


def layer_nodes(layers: Any, place: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the nodes of a flow's layers, each with the layer's place."""
    for index, layer in enumerate(layers if isinstance(layers, list) else [layers]):
        yield from named_nodes(layer, f"{place}{'.' if place else ''}flow_layers[{index}]")


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


def is_known(node: Mapping[str, Any], allowed: Allowed = STRICT) -> bool:
    """Whether a node of a config names a class that may be deserialised."""
    module, name, registered = node.get("module"), node["class_name"], node.get("registered_name")
    texts = isinstance(name, str) and all(isinstance(text, str | None) for text in (module, registered))
    if not texts or node.get(TRAINING):
        return False
    if module is None:
        return name in MARKERS and node.get("registered_name") is None
    if is_of_gyoza(module):
        known = GYOZA_CLASSES | GYOZA_LOSSES if allowed.training else GYOZA_CLASSES
        return name in known and bears_name_of_gyoza(node)
    if name == "function":
        return is_known_function(node, allowed)
    plain = node.get("registered_name") in {None, name} and is_plain_keras(module, name, allowed)
    return plain or is_own_class(node, allowed)


def bears_name_of_gyoza(node: Mapping[str, Any]) -> bool:
    """Whether a node names a class under a name that gyoza registers, be there such a class or not."""
    name = node["class_name"]
    names = (name, f"gyoza>{name}", f"{ORIGINAL_PACKAGE}>{name}")
    return is_of_gyoza(node.get("module")) and not node.get(TRAINING) and node.get("registered_name") in names


def is_plain_keras(module: Any, name: str, allowed: Allowed = STRICT) -> bool:
    """Whether a class of Keras is on the list: a layer by its name, or any class of the modules that hold numbers."""
    if module in KERAS_LAYER_MODULES:
        return name in KERAS_LAYERS or (module, name) == ("keras", "DTypePolicy")
    part = module.removeprefix("keras.") if isinstance(module, str) else None
    parts = KERAS_PARTS | KERAS_TRAINING_PARTS if allowed.training else KERAS_PARTS
    # Every module has a __class__, too.
    return part in parts and not name.startswith("_") and inspect.isclass(getattr(attrgetter(part)(keras), name, None))


def is_known_function(node: Mapping[str, Any], allowed: Allowed) -> bool:
    """Whether a node names a function that may be: a loss or metric of Keras, or one that the program registered."""
    name = node.get("config")
    if not isinstance(name, str) or node.get("module") != "builtins":
        return False
    modules = [getattr(keras, module) for module in KERAS_FUNCTIONS]
    plain = name not in NO_LOSSES and any(inspect.isfunction(getattr(module, name, None)) for module in modules)
    return (allowed.training and plain) or is_own(name, allowed)


def is_own_class(node: Mapping[str, Any], allowed: Allowed) -> bool:
    """Whether a node names a class that is registered and trusted, under a module that is not Keras'."""
    module, name = node.get("module"), node["class_name"]
    if not isinstance(module, str) or f"{module}.".startswith("keras.") or name.startswith("__"):
        return False
    return is_own(node.get("registered_name", name), allowed)


def is_own(name: Any, allowed: Allowed) -> bool:
    """Whether something is registered with Keras under a name, by the running program or a module that is trusted."""
    found = keras.saving.get_registered_object(name) if isinstance(name, str) else None
    return found is not None and allowed.trusts(str(getattr(found, "__module__", "")))
