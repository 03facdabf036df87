"""What loading a Keras model for a script promises."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from gyoza.loading import LoadError, load_flow, load_model, read_model
from gyoza.modelling.flow_layers import DisentanglingFlowModel, FlowModel, Reflection
from gyoza.modelling.losses import SupervisedFactorLoss
from tests.loading.archives import edited, rewrite
from tests.loading.flows import flow_model, pairs
from tests.modelling.layers import Softening

NOT_ON_THE_LIST = "neither a gyoza class nor one of the plain Keras classes that may be loaded"


def compiled() -> DisentanglingFlowModel:
    """A flow ready for training."""
    model = flow_model()
    model.compile("adam", SupervisedFactorLoss([2, 2]))
    return model


@keras.saving.register_keras_serializable(package="tests")
def width(y_true: Any, y_pred: Any) -> Any:
    """A reader's own metric."""
    return ops.cast(y_pred.shape[-1], "float32") + 0 * y_true[:, 0]


@keras.saving.register_keras_serializable(package="tests")
def bend(x: Any) -> Any:
    """A reader's own activation."""
    return x / (1 + ops.abs(x))


@keras.saving.register_keras_serializable(package="tests")
class Farther(SupervisedFactorLoss):
    """A reader's own loss."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Double it."""
        return 2 * super().call(y_true, y_pred)


@keras.saving.register_keras_serializable(package="tests")
class OwnFlow(DisentanglingFlowModel):
    """A reader's own flow."""


COMPILED: dict[str, Callable[[], dict[str, Any]]] = {
    "as most are": lambda: {"loss": SupervisedFactorLoss([2, 2])},
    "a schedule": lambda: {
        "optimizer": keras.optimizers.Adam(keras.optimizers.schedules.ExponentialDecay(0.1, 3, 0.9)),
        "loss": SupervisedFactorLoss([2, 2]),
    },
    "own code": lambda: {"loss": Farther([2, 2]), "metrics": [width]},
    "a loss of Keras": lambda: {"loss": keras.losses.Huber()},
    "functions of Keras": lambda: {
        "loss": keras.losses.mean_squared_error,
        "metrics": ["mae", keras.metrics.mean_squared_error, keras.metrics.MeanAbsoluteError()],
    },
}


@pytest.mark.parametrize("case", COMPILED)
def test_a_compiled_model_comes_back_as_it_comes_from_keras(case: str, tmp_path: Path) -> None:
    """Optimizer, its state, loss and metrics are those that were saved, as ``keras.saving.load_model`` restores them."""
    x, y = pairs()
    y = np.zeros((8, 10), "float32") if "of Keras" in case else y
    model = flow_model()
    model.compile(**{"optimizer": "adam", **COMPILED[case]()}, run_eagerly=True)
    model.train_on_batch(x, y)
    model.save(tmp_path / "flow.keras")
    loaded, by_keras = load_model(tmp_path / "flow.keras"), keras.saving.load_model(tmp_path / "flow.keras")
    assert loaded.get_compile_config() == by_keras.get_compile_config()
    for found, expected in zip(loaded.optimizer.variables, by_keras.optimizer.variables, strict=True):
        np.testing.assert_array_equal(found, expected)
    found, expected = (each.evaluate(x, y, verbose=0, return_dict=True) for each in (loaded, model))
    assert found == expected
    assert loaded.train_on_batch(x, y) == model.train_on_batch(x, y)


def test_a_model_loads_without_its_training_set_up(tmp_path: Path) -> None:
    """With compile=False the model is there and not compiled, whatever it was compiled with."""
    compiled().save(tmp_path / "flow.keras")

    def change(config: dict[str, Any]) -> None:
        config["compile_config"]["loss"] = {"module": "mine", "class_name": "Loss", "config": {"name": "own"}}

    foreign = rewrite(tmp_path / "flow.keras", tmp_path / "foreign.keras", edited(change))
    model = load_model(str(foreign), compile=False)
    assert not model.compiled
    message = rf"names mine\.Loss \(compile_config\), which is {NOT_ON_THE_LIST}; register it .* load .* compile=False"
    with pytest.raises(LoadError, match=message):
        load_model(foreign)


@pytest.mark.parametrize(
    "change",
    [
        {"optimizer": {"module": "os", "class_name": "system", "config": "true"}},
        {"optimizer": {"module": "keras.optimizers", "class_name": "deserialize", "config": {}}},
        {"loss": "evil>evil"},
        {
            "loss": {
                "module": "builtins",
                "class_name": "function",
                "config": "deserialize",
                "registered_name": "function",
            }
        },
        {
            "metrics": [
                {"module": "builtins", "class_name": "function", "config": "eval", "registered_name": "function"}
            ]
        },
        {"metrics": [{"module": "os", "class_name": "function", "config": "system", "registered_name": "function"}]},
        {"metrics": [{"module": "builtins", "class_name": "function", "config": {}, "registered_name": "function"}]},
        {"metrics": [{"class_name": "__lambda__", "config": {"value": "x"}}]},
    ],
    ids=["module", "function of Keras", "text", "maker", "builtin", "other module", "no name", "lambda"],
)
def test_a_training_set_up_names_nothing_foreign(change: dict[str, Any], tmp_path: Path) -> None:
    """Where a training set-up is restored, the list holds for it too."""
    compiled().save(tmp_path / "flow.keras")
    path = rewrite(
        tmp_path / "flow.keras", tmp_path / "evil.keras", edited(lambda config: config["compile_config"].update(change))
    )
    with pytest.raises(LoadError, match=NOT_ON_THE_LIST):
        load_model(path)
    assert load_model(path, compile=False).name


def test_a_training_set_up_that_can_not_be_restored_is_named(tmp_path: Path) -> None:
    """The error says that it is not the flow, why, and how to load the flow all the same."""
    compiled().save(tmp_path / "flow.keras")

    def change(config: dict[str, Any]) -> None:
        config["compile_config"]["optimizer"]["config"]["beta_3"] = 0.9

    path = rewrite(tmp_path / "flow.keras", tmp_path / "broken.keras", edited(change))
    message = (
        r"can't be loaded\. its training set-up \(optimizer, loss, metrics\): .*beta_3.*\. .*load .* compile=False"
    )
    with pytest.raises(LoadError, match=message):
        load_model(path)
    assert isinstance(load_model(path, compile=False), DisentanglingFlowModel)


def test_own_code_is_loaded_for_its_owner_and_refused_to_the_service(tmp_path: Path) -> None:
    """Layers, activations and flows that the program registered load in a script; the service refuses them."""
    own: dict[str, Any] = {
        "layer": FlowModel([Softening([4], [1])]),
        "activation": flow_model(keras.layers.Dense(5, activation=bend)),
        "flow": OwnFlow([Reflection([4], [1], reflection_count=2)]),
    }
    x = np.random.default_rng(0).standard_normal((3, 4)).astype("float32")
    for name, model in own.items():
        path, (codes, logdet) = tmp_path / f"{name}.keras", model(x)
        model.save(path)
        loaded = load_model(path)
        assert type(loaded) is type(model)
        np.testing.assert_array_equal(loaded(x)[0], codes)
        np.testing.assert_array_equal(loaded(x)[1], logdet)
        for load in (load_flow, read_model):
            with pytest.raises(
                LoadError, match=f"names .*tests>.*, which is {NOT_ON_THE_LIST}; save a flow made of those"
            ):
                load(path)


@pytest.fixture
def forgotten() -> Iterator[None]:
    """The program registers nothing under the names of these tests."""
    registered = keras.saving.get_custom_objects()
    before = dict(registered)
    for name in before:
        if name.startswith("tests>"):
            del registered[name]
    yield
    registered.update(before)


def test_own_code_that_is_not_registered_is_refused(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Where the program that loads did not import what it saved, the error names the layer and says so."""
    model = FlowModel([Reflection([4], [1], reflection_count=1), Softening([4], [1], name="soft")])
    model.build((None, 4))
    model.save(tmp_path / "flow.keras")
    request.getfixturevalue("forgotten")
    message = (
        rf"names tests>Softening \(layer 'soft', flow_layers\[1\]\), which is {NOT_ON_THE_LIST}; import what registers"
    )
    with pytest.raises(LoadError, match=message):
        load_model(tmp_path / "flow.keras")
    with keras.saving.custom_object_scope({"tests>Softening": Softening}):
        assert isinstance(load_model(tmp_path / "flow.keras")._flow_layers_[1], Softening)


@pytest.mark.parametrize("path", [(2, "config", "compute_coupling_parameters"), (1,)], ids=["of Keras", "of gyoza"])
def test_own_code_behind_another_class_is_refused(path: tuple[Any, ...], tmp_path: Path) -> None:
    """Nothing writes a script's registered name for a class of Keras or gyoza: a file that does so is not loaded."""
    flow_model().save(tmp_path / "flow.keras")

    def disguise(config: dict[str, Any]) -> None:
        node = config["config"]["flow_layers"]
        for key in path:
            node = node[key]
        node["registered_name"] = "tests>Softening"

    with pytest.raises(LoadError, match=f"names tests>Softening .*, which is {NOT_ON_THE_LIST}"):
        load_model(rewrite(tmp_path / "flow.keras", tmp_path / "other.keras", edited(disguise)))


def test_a_part_that_was_compiled_by_itself_is_refused(tmp_path: Path) -> None:
    """Only the model's own training set-up is restored; the error says whose it is that is in the way."""
    model = flow_model()
    model._flow_layers_[2]._compute_coupling_parameters_.compile("adam", "mse")
    model.save(tmp_path / "flow.keras")
    with pytest.raises(
        LoadError, match=r"names the training set-up of keras\.Sequential \(layer '\w+', flow_layers\[2\]\)"
    ):
        load_model(tmp_path / "flow.keras")
