"""A config may not ask for more memory than its weights fill; it is refused before any is taken."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import pytest

from gyoza.allow_list import KERAS_LAYERS
from gyoza.loading import LoadError, load_flow, load_model, sizes
from gyoza.modelling.flow_layers import DisentanglingFlowModel, FlowModel, InvertibleLinear, Reflection
from tests.loading.archives import edited, rewrite
from tests.loading.flows import flow_model

Saved = tuple[Path, DisentanglingFlowModel]
BILLION = 10**9


def flow_layer(config: dict[str, Any], index: int) -> dict[str, Any]:
    """The config of a layer of a flow."""
    node: dict[str, Any] = config["config"]["flow_layers"][index]["config"]
    return node


def network(config: dict[str, Any]) -> list[dict[str, Any]]:
    """The layers of the network of the first coupling: its input, a hidden layer and the last one."""
    layers: list[dict[str, Any]] = flow_layer(config, 2)["compute_coupling_parameters"]["config"]["layers"]
    return layers


def units(config: dict[str, Any]) -> None:
    """Ask for a billion units."""
    _, hidden, last = network(config)
    hidden["config"]["units"] = BILLION
    last["build_config"]["input_shape"] = [None, BILLION]


def squares(config: dict[str, Any]) -> None:
    """Ask for a matrix between layers that are each small."""
    layers = network(config)
    layers[1]["config"]["units"] = 100_000
    layers.insert(2, copy.deepcopy(layers[1]))
    layers[2]["config"]["name"] = "more"
    for layer in layers[2:]:
        layer["build_config"]["input_shape"] = [None, 100_000]


def misfits(config: dict[str, Any]) -> None:
    """Ask for a billion units that the next layer does not take."""
    network(config)[1]["config"]["units"] = BILLION


def normals(config: dict[str, Any]) -> None:
    """Ask for a billion reflections."""
    flow_layer(config, 1)["reflection_count"] = BILLION


def mask(config: dict[str, Any]) -> None:
    """Ask for a mask of a billion entries, which the layer draws itself."""
    flow_layer(config, 2)["mask"]["config"].update(shape=[BILLION], mask=None)


def permutation(config: dict[str, Any]) -> None:
    """Ask for a permutation of many entries, which the layer draws itself."""
    flow_layer(config, 3).update(shape=[10**7], permutation=None)


def matrix(config: dict[str, Any]) -> None:
    """Ask for a large rotation, which the layer draws itself."""
    layers = config["config"]["flow_layers"]
    layers[0] = keras.saving.serialize_keras_object(InvertibleLinear([4], [1]))
    layers[0]["config"]["shape"] = [50_000]


def repetition(config: dict[str, Any]) -> None:
    """Make a billion numbers of a row between layers that fit."""
    repeat = {"module": "keras.layers", "class_name": "RepeatVector", "config": {"name": "again", "n": BILLION}}
    pool = {"module": "keras.layers", "class_name": "GlobalAveragePooling1D", "config": {"name": "pool"}}
    network(config)[1:1] = [{**node, "registered_name": None} for node in (repeat, pool)]


CHANGES: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "units": (units, r"no more weights than its file holds, which are \d+\. Received: 9,\d+,\d+,\d+, most of them in"),
    "misfits": (misfits, r"flow_layers\[2\], the AdditiveCoupling '\w+': .* is incompatible with the layer"),
    "squares": (squares, "no more weights than its file holds.* Received: 10,001,0"),
    "normals": (normals, r"Received: 4,000,000,\d+, most of them in \w+/reflection_normals|reflection_normals"),
    "mask": (mask, "shapes must hold 67,108,864 entries at most"),
    "permutation": (permutation, r"Received: 20,000,000, its permutations and matrices"),
    "matrix": (matrix, r"Received: 5,000,000,\d+, its permutations and matrices"),
    "repetition": (
        repetition,
        r"RepeatVector 'again' must make at most 16,777,216 numbers of a row\. Received: 4,000,0",
    ),
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_config_that_asks_for_too_much_is_refused(case: str, saved: Saved, tmp_path: Path) -> None:
    """The refusal says how much was asked for, how much is stored, and where most of it would go."""
    change, message = CHANGES[case]
    path = rewrite(saved[0], tmp_path / "flow.keras", edited(change))
    for load in (load_flow, load_model):
        with pytest.raises(LoadError, match=message):
            load(path)


def test_a_large_latent_is_refused(tmp_path: Path) -> None:
    """A flow with few weights may be one of many entries; of too many, no service makes a plan."""
    model = FlowModel([Reflection([2], [2], reflection_count=1)])
    model.build((None, 2**18, 2))
    model.save(tmp_path / "flow.keras")
    with pytest.raises(LoadError, match=r"latents of at most 262,144 entries. Received: 524,288"):
        load_flow(tmp_path / "flow.keras")


def test_many_objects_are_refused(saved: Saved, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each takes time to be made."""
    monkeypatch.setattr(sizes, "MOST_NODES", 10)
    with pytest.raises(LoadError, match=r"must name at most 10 objects\. Received: \d+"):
        load_flow(saved[0])


IMAGE, TEXT, ROW = (8, 8, 2), (8, 2), (6,)
ARGUMENTS: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {
    "Activation": (ROW, {"activation": "relu"}),
    "AveragePooling1D": (TEXT, {"pool_size": 2}),
    "AveragePooling2D": (IMAGE, {"pool_size": 2}),
    "BatchNormalization": (ROW, {}),
    "Conv1D": (TEXT, {"filters": 3, "kernel_size": 3}),
    "Conv2D": (IMAGE, {"filters": 3, "kernel_size": 3}),
    "Dense": (ROW, {"units": 3}),
    "DepthwiseConv2D": (IMAGE, {"kernel_size": 3}),
    "Dropout": (ROW, {"rate": 0.5}),
    "GaussianDropout": (ROW, {"rate": 0.5}),
    "GaussianNoise": (ROW, {"stddev": 0.5}),
    "GlobalAveragePooling1D": (TEXT, {}),
    "GlobalAveragePooling2D": (IMAGE, {}),
    "GroupNormalization": (ROW, {"groups": 2}),
    "MaxPooling1D": (TEXT, {}),
    "MaxPooling2D": (IMAGE, {}),
    "Permute": (TEXT, {"dims": (2, 1)}),
    "RepeatVector": (ROW, {"n": 2}),
    "Reshape": (ROW, {"target_shape": (2, 3)}),
    "SeparableConv2D": (IMAGE, {"filters": 3, "kernel_size": 3}),
    "UpSampling1D": (TEXT, {}),
    "UpSampling2D": (IMAGE, {}),
    "ZeroPadding1D": (TEXT, {}),
    "ZeroPadding2D": (IMAGE, {}),
}
OTHERS = {
    "Add",
    "Concatenate",
    "Functional",
    "InputLayer",
    "Multiply",
    "Sequential",
    "SpectralNormalization",
    "Subtract",
}


@pytest.mark.parametrize("name", sorted(KERAS_LAYERS - OTHERS))
def test_every_layer_on_the_list_can_do_without_values(name: str) -> None:
    """What is measured of a layer is what it has once it holds values."""
    shape, arguments = ARGUMENTS.get(name, (ROW, {}))
    model = keras.Sequential([keras.Input(shape), getattr(keras.layers, name)(**arguments)])
    node = keras.saving.serialize_keras_object(model)
    found = sizes.without_values(lambda: sizes.made(node))
    assert [tuple(weight.shape) for weight in found.variables] == [tuple(weight.shape) for weight in model.variables]
    sizes.check_numbers(found, 0)


def test_a_functional_network_can_do_without_values() -> None:
    """So can the layers of several inputs, and a wrapper."""
    x = keras.Input(ROW)
    y = keras.layers.SpectralNormalization(keras.layers.Dense(6))(x)
    parts = [getattr(keras.layers, name)()([x, y]) for name in ("Add", "Concatenate", "Multiply", "Subtract")]
    model = keras.Model(x, keras.layers.Concatenate()([*parts, keras.Sequential([keras.layers.Dense(2)])(y)]))
    found = sizes.without_values(lambda: sizes.made(keras.saving.serialize_keras_object(model)))
    assert len(found.variables) == len(model.variables)


def test_nothing_is_left_behind(saved: Saved) -> None:
    """Weights without values are forgotten: no later scope gives them any."""
    node = keras.saving.serialize_keras_object(flow_model())
    found = sizes.without_values(lambda: sizes.made(node))
    with keras.StatelessScope():
        pass
    assert all(weight._value is None for weight in found.variables)


@keras.saving.register_keras_serializable(package="tests")
class Eager(Reflection):
    """A reader's layer that looks at its weights while it is made."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Make a weight of numbers."""
        super().__init__(*args, **kwargs)
        self.more = keras.Variable([1.0, 2.0])


def test_own_code_may_need_values(tmp_path: Path) -> None:
    """A layer of one's own that can't do without values is not measured, and loads."""
    model = FlowModel([Eager([4], [1], reflection_count=1)])
    model.build((None, 4))
    model.save(tmp_path / "flow.keras")
    assert isinstance(load_model(tmp_path / "flow.keras")._flow_layers_[0], Eager)


def test_a_shape_that_is_none_is_the_layers_matter(saved: Saved, tmp_path: Path) -> None:
    """What is no shape is refused by the layer, whose place is named."""
    path = rewrite(saved[0], tmp_path / "flow.keras", edited(lambda config: flow_layer(config, 1).update(shape=["4"])))
    with pytest.raises(LoadError, match=r"flow_layers\[1\], the Reflection .*shape must hold integers only"):
        load_flow(path)
