"""A file that can't be read: the error names the layer, its class and its place, says why, and what to do."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest

from gyoza.loading import LoadError, load_flow, load_model
from gyoza.modelling.flow_layers import DisentanglingFlowModel, FlowModel, HeavisidePermutation, Reflection
from tests.loading.archives import edited, rewrite
from tests.loading.flows import flow_model

LOADERS: dict[str, Callable[[Path], Any]] = {"the service": load_flow, "the library": load_model}
Saved = tuple[Path, DisentanglingFlowModel]


def layer(config: dict[str, Any], index: int) -> dict[str, Any]:
    """The node of a flow's layer."""
    node: dict[str, Any] = config["config"]["flow_layers"][index]
    return node


def set_axes(config: dict[str, Any]) -> None:
    """Let a layer act along an axis that its input does not have, though it was built for one that has it."""
    layer(config, 1)["config"]["axes"] = [2]
    layer(config, 1)["build_config"] = {"input_shape": [None, 1, 4]}


CONFIGS: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "an unknown key": (
        lambda config: layer(config, 1)["config"].update(count=3),
        (
            r"flow_layers\[1\], the Reflection 'reflection\w*': Unrecognized keyword arguments passed to Reflection: "
            r"\{'count': 3\}\. Load it with the version of gyoza that wrote it"
        ),
    ),
    "a missing key": (
        lambda config: layer(config, 1)["config"].pop("reflection_count"),
        r"flow_layers\[1\], the Reflection 'reflection\w*': Reflection\.__init__\(\) missing .* 'reflection_count'\. Load",
    ),
    "a coupling without its mask": (
        lambda config: layer(config, 2)["config"].pop("mask"),
        r"flow_layers\[2\], the AdditiveCoupling 'additive_coupling\w*': 'mask' is missing\. Load",
    ),
    "an unknown key in a network": (
        lambda config: layer(config, 2)["config"]["compute_coupling_parameters"]["config"]["layers"][1][
            "config"
        ].update(count=3),
        r"flow_layers\[2\], the AdditiveCoupling '\w+': Unrecognized keyword arguments passed to Dense: \{'count': 3\}\.",
    ),
    "a config that is none": (
        lambda config: layer(config, 3).update(config=[]),
        r"flow_layers\[3\], the HeavisidePermutation: Expected 'config' to be a dict for HeavisidePermutation\. Load",
    ),
    "a layer that is none": (
        lambda config: config["config"]["flow_layers"].append("layer"),
        r"flow_layers\[5\], the str: 'config' is missing\. Load",
    ),
    "a layer without a config": (
        lambda config: layer(config, 3).pop("config"),
        r"flow_layers\[3\], the HeavisidePermutation: 'config' is missing\. Load",
    ),
    "layers that are none": (
        lambda config: config["config"].update(flow_layers=3),
        r"the DisentanglingFlowModel 'disentangling_flow_model\w*': 'int' object is not iterable\. Load",
    ),
    "an input that is none": (
        lambda config: (layer(config, 1).pop("config"), config["build_config"].update(input_shape=["a"])),
        r"the DisentanglingFlowModel 'disentangling_flow_model\w*': .*\. Load",
    ),
    "a permutation that is none": (
        lambda config: layer(config, 3)["config"].update(permutation=[0, 0]),
        (
            r"flow_layers\[3\], the HeavisidePermutation '\w+': permutation must hold each of 0 … 3 once\. "
            r"Received: permutation=\[0, 0\]\. Load"
        ),
    ),
    "a shape that does not fit": (
        lambda config: layer(config, 0)["config"].update(shape=[5]),
        (
            r"flow_layers\[0\], the ActivationNormalization '\w+': The input of \w+ must have the shape \[5\] along the axes "
            r"\[1\]\. Received: shape=\(None, 4\)\. Load"
        ),
    ),
    "axes that do not fit": (
        lambda config: layer(config, 1)["config"].update(axes=[2]),
        r"flow_layers\[1\], the Reflection '\w+': The input of \w+ must have an axis 2\. Received: shape=\(None, 4\)\. Load",
    ),
    "axes that do not fit the layer before": (
        set_axes,
        r"flow_layers\[1\], the Reflection '\w+': The input of \w+ must have an axis 2\. Received: shape=\(None, 4\)\. Load",
    ),
    "factors that do not fit": (
        lambda config: config["config"].update(factors=[["residual", 3]]),
        (
            r"the DisentanglingFlowModel '\w+': The factors' sizes must add up to the code's 4\. "
            r"Received: factors=\{'residual': 3\}\. Load"
        ),
    ),
}


@pytest.mark.parametrize("case", CONFIGS)
@pytest.mark.parametrize("by", LOADERS)
@pytest.mark.filterwarnings("ignore:Model .* had a build config")
def test_a_config_that_does_not_fit_is_named(by: str, case: str, saved: Saved, tmp_path: Path) -> None:
    """What can't be made of a config, or not be built, is said of the layer where it lies."""
    change, message = CONFIGS[case]
    with pytest.raises(LoadError, match=rf"^flow\.keras can't be loaded\. {message}") as caught:
        LOADERS[by](rewrite(saved[0], tmp_path / "flow.keras", edited(change)))
    assert "\n" not in str(caught.value)


def reshape(file: h5py.File, path: str, shape: tuple[int, ...]) -> None:
    """Give a weight another shape."""
    del file[path]
    file[path] = np.zeros(shape, "float32")


NETWORK = "_compute_coupling_parameters_/layers/dense_1/vars/0"
WEIGHTS: dict[str, tuple[Callable[[h5py.File], Any], str]] = {
    "another shape": (
        lambda file: reshape(file, "layers/reflection/vars/0", (3, 4)),
        (
            r"flow_layers\[1\], the Reflection '\w+': its weight vars/0 must have the shape \[2, 4\]\. "
            r"Received: shape=\[3, 4\]\. Save the model anew"
        ),
    ),
    "a layer without weights": (
        lambda file: file.pop("layers/reflection"),
        r"flow_layers\[1\], the Reflection '\w+': its weight vars/0 of the shape \[2, 4\] is missing\. Save",
    ),
    "a network without a weight": (
        lambda file: file.pop(f"layers/additive_coupling/{NETWORK}"),
        rf"flow_layers\[2\], the AdditiveCoupling '\w+': its weight {NETWORK} of the shape \[5, 4\] is missing\. Save",
    ),
    "a normalization without its scale": (
        lambda file: file.pop("layers/activation_normalization/vars/1"),
        r"flow_layers\[0\], the ActivationNormalization '\w+': its weight vars/1 of the shape \[4\] is missing\. Save",
    ),
    "a normalization of another size": (
        lambda file: reshape(file, "layers/activation_normalization/vars/0", (5,)),
        (
            r"flow_layers\[0\], the ActivationNormalization '\w+': its weight vars/0 must have the shape \[4\]\. "
            r"Received: shape=\[5\]\. Save"
        ),
    ),
    "a weight that is none": (
        lambda file: (file.pop("layers/reflection/vars/0"), file.create_group("layers/reflection/vars/0")),
        r"flow_layers\[1\], the Reflection '\w+': its weight vars/0 of the shape \[2, 4\] is missing\. Save",
    ),
}


@pytest.mark.parametrize("case", WEIGHTS)
@pytest.mark.parametrize("by", LOADERS)
def test_weights_that_do_not_fit_are_named(by: str, case: str, saved: Saved, tmp_path: Path) -> None:
    """Weights that are missing or of another shape are said of the layer that needs them."""
    change, message = WEIGHTS[case]
    with pytest.raises(LoadError, match=rf"^flow\.keras can't be loaded\. {message}"):
        LOADERS[by](rewrite(saved[0], tmp_path / "flow.keras", weights=change))


def test_a_layer_of_a_nested_flow_is_named_by_both_places(tmp_path: Path) -> None:
    """The place tells the way through the flows, be it the config or the weights that do not fit."""
    inner = FlowModel([Reflection([4], [1], reflection_count=2), HeavisidePermutation([4], [1])])
    model = FlowModel([HeavisidePermutation([4], [1]), inner])
    model.build((None, 4))
    model.save(tmp_path / "whole.keras")
    where = r"flow_layers\[1\]\.flow_layers\[0\], the Reflection '\w+'"

    def count(config: dict[str, Any]) -> None:
        layer(layer(config, 1), 0)["config"]["reflection_count"] = 0

    with pytest.raises(LoadError, match=rf"{where}: reflection_count must be at least 1"):
        load_model(rewrite(tmp_path / "whole.keras", tmp_path / "flow.keras", edited(count)))
    with pytest.raises(LoadError, match=rf"{where}: its weight vars/0 must have the shape \[2, 4\]"):
        load_model(
            rewrite(
                tmp_path / "whole.keras",
                tmp_path / "flow.keras",
                weights=lambda file: reshape(file, "layers/flow_model/layers/reflection/vars/0", (3, 4)),
            )
        )


def test_a_model_built_for_pairs_is_examined_too(tmp_path: Path) -> None:
    """A flow that only ever saw pairs was built for two shapes; its layers are found alike."""
    model = flow_model()
    pair = [np.zeros((2, 4), "float32")] * 2
    fresh = DisentanglingFlowModel.from_config(model.get_config())
    fresh(pair)
    fresh.save(tmp_path / "whole.keras")
    assert load_model(tmp_path / "whole.keras")(pair).shape == (2, 10)
    with pytest.raises(LoadError, match=r"flow_layers\[1\], the Reflection '\w+': Unrecognized keyword"):
        load_model(rewrite(tmp_path / "whole.keras", tmp_path / "flow.keras", edited(CONFIGS["an unknown key"][0])))


def test_a_model_whose_input_is_not_known_is_examined_too(tmp_path: Path) -> None:
    """A flow that was not built yet is examined layer by layer."""
    with pytest.warns(UserWarning, match="has not yet been built"):
        FlowModel([HeavisidePermutation([4], [1]), Reflection([4], [1], reflection_count=2)]).save(tmp_path / "a.keras")
    with pytest.raises(LoadError, match=r"flow_layers\[1\], the Reflection '\w+': Unrecognized keyword"):
        load_model(rewrite(tmp_path / "a.keras", tmp_path / "flow.keras", edited(CONFIGS["an unknown key"][0])))


def test_a_model_that_is_no_flow_is_named(tmp_path: Path) -> None:
    """Of a plain Keras model the error names the model, and the line that says why."""
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, name="thick")], name="net").save(tmp_path / "a.keras")

    def change(config: dict[str, Any]) -> None:
        config["config"]["layers"][1]["config"]["units"] = -1

    with pytest.raises(LoadError, match=r"can't be loaded\. the Sequential 'net': .*units=-1. Load"):
        load_model(rewrite(tmp_path / "a.keras", tmp_path / "flow.keras", edited(change)))
    with pytest.raises(LoadError, match=r"the Sequential 'net': its weight layers/dense/vars/0 of the shape \[2, 3\]"):
        load_model(
            rewrite(tmp_path / "a.keras", tmp_path / "flow.keras", weights=lambda file: file.pop("layers/dense/vars/0"))
        )


@pytest.mark.parametrize(
    ("weights", "message"), [(None, "no item named .model.weights.h5"), (b"none", "file signature not found")]
)
def test_an_archive_without_weights_is_refused(
    weights: bytes | None, message: str, saved: Saved, tmp_path: Path
) -> None:
    """Where the weights are missing or no weights at all, the error says so."""
    path = tmp_path / "flow.keras"
    with zipfile.ZipFile(saved[0]) as source, zipfile.ZipFile(path, "w") as target:
        for name in ("config.json", "metadata.json"):
            target.writestr(name, source.read(name))
        if weights is not None:
            target.writestr("model.weights.h5", weights)
    with pytest.raises(LoadError, match=rf"^flow\.keras can't be loaded\. .*{message}.*\. Save the model anew"):
        load_flow(path)


@pytest.mark.parametrize("by", LOADERS)
def test_a_class_of_a_newer_gyoza_is_named(by: str, saved: Saved, tmp_path: Path) -> None:
    """A class of gyoza that this version lacks is named with its layer, its place, and what to do."""

    def change(config: dict[str, Any]) -> None:
        layer(config, 1).update(class_name="Rotation", registered_name="gyoza>Rotation")

    message = (
        r"it names gyoza>Rotation \(layer 'reflection\w*', flow_layers\[1\]\), a class that gyoza [\d.]+ does not have; "
        "load it with the version that wrote it, or a newer one"
    )
    with pytest.raises(LoadError, match=message):
        LOADERS[by](rewrite(saved[0], tmp_path / "flow.keras", edited(change)))
