"""A config may not ask for more memory than its weights fill; it is refused before any is taken."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import pytest

from gyoza.allow_list import KERAS_LAYERS
from gyoza.loading import LoadError, load_flow, load_model, sizes
from gyoza.modelling.flow_layers import (
    AdditiveCoupling,
    CheckerBoardPermutation,
    DisentanglingFlowModel,
    FlowModel,
    HeavisidePermutation,
    InvertibleLinear,
    Reflection,
)
from gyoza.modelling.masks import CheckerBoardMask, HeavisideMask
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
    flow_layer(config, 3).update(shape=[4 * 10**6], permutation=None)


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
    "mask": (mask, "shapes must hold 8,388,608 entries at most"),
    "permutation": (permutation, r"Received: 8,000,000, its permutations and matrices"),
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
    "Rescaling": (ROW, {"scale": 0.5}),
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
    sizes.check_numbers([found], 0)


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


def eager_flow(path: Path) -> Path:
    """Save a flow with a layer of one's own that can't do without values, and plain ones beside it and in it."""
    model = FlowModel([Eager([4], [1], reflection_count=1), *flow_model()._flow_layers_])
    model.build((None, 4))
    model.save(path)
    return path


def constrained(config: dict[str, Any]) -> None:
    """Ask for a billion units of a layer with a part of one's own."""
    _, hidden, _ = network_of_eager(config)
    hidden["config"].update(units=BILLION, kernel_initializer=keras.saving.serialize_keras_object(Own()))


@keras.saving.register_keras_serializable(package="tests")
class Own(keras.initializers.Zeros):
    """A reader's initializer."""


def network_of_eager(config: dict[str, Any]) -> list[dict[str, Any]]:
    """The layers of the first network of that flow."""
    layers: list[dict[str, Any]] = flow_layer(config, 3)["compute_coupling_parameters"]["config"]["layers"]
    return layers


def repeated(config: dict[str, Any]) -> None:
    """Make a billion numbers of a row."""
    network_of_eager(config).insert(
        1,
        {
            "module": "keras.layers",
            "class_name": "RepeatVector",
            "config": {"name": "again", "n": BILLION},
            "build_config": {"input_shape": [None, 4]},
            "registered_name": None,
        },
    )


EAGER_CHANGES: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "units": (
        lambda config: network_of_eager(config)[1]["config"].update(units=4 * 10**7),
        r"no more weights than its file holds, which are \d+\. Received: 200,000,\d+",
    ),
    "a part of one's own": (constrained, r"no more weights than its file holds.* Received: 5,000,000,\d+"),
    "normals": (
        lambda config: flow_layer(config, 2).update(reflection_count=BILLION),
        r"Received: 4,000,000,\d+, most of them in \w*/?reflection_normals",
    ),
    "unknown": (
        lambda config: network_of_eager(config)[1].pop("build_config"),
        r"flow_layers\[3\], the Dense '\w+': its build_config must hold the input_shape .* for\. Received: None",
    ),
    "misfit": (
        lambda config: network_of_eager(config)[1]["config"].update(units=-1),
        r"flow_layers\[3\], the Dense '\w+': .*units",
    ),
    "repetition": (repeated, r"RepeatVector 'again' must make at most 16,777,216 numbers of a row"),
}


@pytest.mark.parametrize("case", EAGER_CHANGES)
def test_own_code_does_not_hide_what_plain_layers_ask_for(case: str, tmp_path: Path) -> None:
    """A layer of one's own that can't do without values is left out of the count, and the plain ones are not."""
    change, message = EAGER_CHANGES[case]
    path = rewrite(eager_flow(tmp_path / "eager.keras"), tmp_path / "flow.keras", edited(change))
    with pytest.raises(LoadError, match=message):
        load_model(path)
    with pytest.raises(LoadError, match=message):
        load_flow(path, trusted_modules=[__name__])


def test_own_code_beside_networks_loads(tmp_path: Path) -> None:
    """What asks for no more than is stored loads, whatever one's own layers need, and others' networks are."""
    x = keras.Input((4,))
    joined = keras.layers.Concatenate()([x, keras.layers.SpectralNormalization(keras.layers.Dense(3))(x)])
    y = keras.layers.Dense(4, kernel_initializer=Own())(joined)
    coupling = AdditiveCoupling([4], [1], compute_coupling_parameters=keras.Model(x, y), mask=HeavisideMask([1], [4]))
    model = FlowModel([Eager([4], [1], reflection_count=1), coupling, InvertibleLinear([4], [1])])
    model.build((None, 4))
    model.save(tmp_path / "flow.keras")
    assert load_model(tmp_path / "flow.keras").built
    assert load_model(eager_flow(tmp_path / "eager.keras")).built


# A sum or a product of these may be small, and each makes a class draw something large, or fail late.
NO_SHAPES: dict[str, Any] = {
    "negative": [-1, -BILLION],
    "negative alone": [-(2**24)],
    "true": [True, 2 * 10**7],
    "false": [False],
    "float": [4.0],
    "text": ["4"],
    "none": [None],
    "nothing": [],
    "null": None,
    "number": BILLION,
    "a text": "4",
    "zero": [0, BILLION],
    "nest": [[4]],
    "a tuple": {"class_name": "__tuple__", "items": [-1, -BILLION]},
}
PLACES: dict[str, tuple[str, Callable[[dict[str, Any]], dict[str, Any]]]] = {
    "layer": ("Reflection", lambda config: flow_layer(config, 1)),
    "mask": ("HeavisideMask", lambda config: dict_of(flow_layer(config, 2), "mask")),
    "permutation": ("HeavisidePermutation", lambda config: flow_layer(config, 3)),
}


def dict_of(config: dict[str, Any], key: str) -> dict[str, Any]:
    """The config of what stands in another's config."""
    found: dict[str, Any] = config[key]["config"]
    return found


@pytest.mark.parametrize("case", NO_SHAPES)
@pytest.mark.parametrize("place", PLACES)
def test_a_shape_holds_sizes(place: str, case: str, saved: Saved, tmp_path: Path) -> None:
    """Anything else is refused before the class sees it; the refusal names the layer, what must hold and what came."""
    name, find = PLACES[place]

    def change(config: dict[str, Any]) -> None:
        node = find(config)
        node["shape"] = NO_SHAPES[case]
        node.update({drawn: None for drawn in ("mask", "permutation") if isinstance(node.get(drawn), list)})

    path = rewrite(saved[0], tmp_path / "flow.keras", edited(change))
    with pytest.raises(
        LoadError, match=rf"the {name} \(layer '.*flow_layers\[\d\]\): shape must hold integers only, of 1"
    ):
        load_flow(path)


@pytest.mark.parametrize("make", [CheckerBoardMask, CheckerBoardPermutation, HeavisideMask, HeavisidePermutation])
def test_sizes_are_checked_before_anything_is_drawn(make: Callable[..., Any]) -> None:
    """So does each class for itself, for who makes it in code."""
    with pytest.raises(ValueError, match=r"shape must hold sizes of at least 1\. Received: shape=\[-1, -1"):
        make(shape=[-1, -(10**18)], axes=[1, 2])


def test_sizes_that_cancel_out_are_refused(saved: Saved, tmp_path: Path) -> None:
    """One negative shape is no room for another one."""

    def change(config: dict[str, Any]) -> None:
        for index, size in ((2, 10**8), (4, -(10**8))):
            dict_of(flow_layer(config, index), "mask").update(shape=[size], mask=None)

    path = rewrite(saved[0], tmp_path / "flow.keras", edited(change))
    with pytest.raises(LoadError, match=r"Received: shape=\[-100000000\]"):
        load_flow(path)


def test_what_a_class_does_not_take_counts_too(saved: Saved, tmp_path: Path) -> None:
    """Other sizes beside a shape hide it no more than they add to it: a class draws before it refuses them."""

    def change(config: dict[str, Any]) -> None:
        dict_of(flow_layer(config, 2), "mask").update(shape=[BILLION], mask=None, dimensions_per_factor=[1])

    path = rewrite(saved[0], tmp_path / "flow.keras", edited(change))
    with pytest.raises(LoadError, match=r"entries at most\. Received: 1,000,000,009"):
        load_flow(path)


LOSS = {
    "module": "gyoza.modelling.losses",
    "class_name": "SupervisedFactorLoss",
    "config": {"dimensions_per_factor": [10**8, 1]},
    "registered_name": "gyoza>SupervisedFactorLoss",
}


def test_losses_are_for_training(saved: Saved, tmp_path: Path) -> None:
    """A loss makes masks of the sizes that it is given; only a training set-up may name one."""

    def nested(config: dict[str, Any]) -> None:
        flow_layer(config, 1)["more"] = LOSS

    for name, change in (("top", lambda _: LOSS), ("nested", edited(nested))):
        path = rewrite(saved[0], tmp_path / f"{name}.keras", change)
        for load in (load_flow, load_model):
            with pytest.raises(LoadError, match=r"names gyoza>SupervisedFactorLoss.*which is neither"):
                load(path)


@pytest.mark.parametrize(
    ("factors", "message"), [([10**8, 1], "Received: 200,000,0"), ([-1, True], "must hold integers only, of 1 or more")]
)
def test_a_loss_of_large_factors_is_refused(factors: list[Any], message: str, saved: Saved, tmp_path: Path) -> None:
    """A set-up that is read is counted; one that is left aside is not looked at."""
    loss = {**LOSS, "config": {"dimensions_per_factor": factors}}
    change = edited(lambda config: config.update(compile_config={"loss": loss, "optimizer": "adam"}))
    path = rewrite(saved[0], tmp_path / "flow.keras", change)
    with pytest.raises(LoadError, match=message):
        load_model(path)
    assert load_model(path, compile=False).built
    assert load_flow(path).flow


@pytest.mark.parametrize("name", ["Zeros", "Dense"])
def test_what_is_no_model_is_refused(name: str, saved: Saved, tmp_path: Path) -> None:
    """A part of a model alone has no weights to be counted, or no layers."""
    part = keras.initializers.Zeros() if name == "Zeros" else keras.layers.Dense(4)
    node = keras.saving.serialize_keras_object(part)
    path = rewrite(saved[0], tmp_path / "flow.keras", lambda _: node)
    for load in (load_flow, load_model):
        with pytest.raises(LoadError, match=rf"must hold a model, such as a FlowModel\. Received: {name}"):
            load(path)
