"""Files of gyoza 0.3 load and give its numbers, as they are, saved again and trained further."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
from keras import ops

from gyoza.loading import load_flow, load_model, load_weights
from gyoza.modelling.flow_layers import (
    DisentanglingFlowModel,
    FlowModel,
)
from tests.loading.archives import edited, rewrite
from tests.loading.originals import (
    COMPILED,
    FOLDER,
    NAMES,
    SIZES,
    as_original,
    assert_same_numbers,
    keras_file,
    weights_file,
)
from tests.loading.remade import compiled_8, factor_loss, made, pairs
from tests.modelling.layers import randomize

LEFT_ASIDE = "the loss is left aside, the optimizer is kept"
LOADERS: dict[str, Callable[[Path], Any]] = {
    "the service": lambda path: load_flow(path).flow,
    "the library": load_model,
    "Keras": keras.saving.load_model,
}
FILLERS: dict[str, Callable[[Any, Path], None]] = {"the library": load_weights, "Keras": keras.Model.load_weights}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("by", LOADERS)
def test_models_give_the_numbers_of_the_original_library(by: str, name: str) -> None:
    """Compiled to a plan, as a model, or read by Keras alone: codes, logdets and latents are those of gyoza 0.3."""
    trains = name == COMPILED and by != "the service"
    with pytest.warns(UserWarning, match=LEFT_ASIDE) if trains else nullcontext():
        assert_same_numbers(LOADERS[by](keras_file(name)), name)


@pytest.mark.parametrize("name", NAMES)
def test_weights_fill_the_model_of_the_config(name: str) -> None:
    """The weights alone give the numbers in a model made of the .keras file's config."""
    model = load_model(keras_file(name), compile=False)
    randomize(model, 0)
    model.load_weights(weights_file(name))
    assert_same_numbers(model, name)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("by", FILLERS)
def test_weights_fill_a_model_made_in_code(by: str, name: str) -> None:
    """The weights alone give the numbers in a model that was written down again, its shuffle included."""
    model = made(name)
    FILLERS[by](model, weights_file(name))
    assert_same_numbers(model, name)


@pytest.mark.parametrize("name", NAMES)
def test_weights_of_the_original_library_count_as_initialised(name: str) -> None:
    """After loading, training does not initialise the activation normalization again."""
    model = made(name)
    model.load_weights(weights_file(name))
    layer = model._flow_layers_[0]
    before = ops.convert_to_numpy(layer._location_)
    model(10 + np.load(FOLDER / f"{name}.npz")["latents"], training=True)
    np.testing.assert_array_equal(layer._location_, before)


def test_weights_of_a_compiled_model_restore_its_optimizer() -> None:
    """Into a compiled model whose optimizer is built, the weights of a compiled original bring its state too."""
    model = made(COMPILED)
    model.compile("adam", factor_loss())
    model.optimizer.build(model.trainable_variables)
    model.load_weights(weights_file(COMPILED))
    assert_same_numbers(model, COMPILED)
    with h5py.File(weights_file(COMPILED)) as file:
        saved = [file["optimizer"]["vars"][str(place)][()] for place in range(len(model.optimizer.variables))]
    assert saved[0] == 16
    for variable, value in zip(model.optimizer.variables, saved, strict=True):
        np.testing.assert_array_equal(variable, value)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_weights_of_a_compiled_model_fill_any_compiled_model(optimizer: str) -> None:
    """Where the optimizer is another or not built, Keras says that its state is left aside; the weights are there."""
    model = made(COMPILED)
    model.compile(optimizer, factor_loss())
    with pytest.warns(UserWarning, match="Skipping variable loading for optimizer"):
        model.load_weights(weights_file(COMPILED))
    assert_same_numbers(model, COMPILED)


def test_a_compiled_original_goes_on_with_the_sizes_of_its_factors() -> None:
    """Given the sizes, loss and optimizer are restored, state and all, and a further step lowers the loss."""
    model, (x, y) = load_model(keras_file(COMPILED), dimensions_per_factor=SIZES), pairs(8)
    assert (model.optimizer.name, int(model.optimizer.iterations)) == ("adam", 16)
    assert float(np.abs(model.optimizer.variables[8]).max()) > 0
    before = model.evaluate(x, y, verbose=0)
    expected = np.mean(factor_loss(SIZES).call(y, model(x)))
    assert before == pytest.approx(float(expected), rel=1e-5)
    for _ in range(3):
        model.train_on_batch(x, y)
    assert model.evaluate(x, y, verbose=0) < before


@pytest.mark.parametrize("by", ["the library", "Keras"])
def test_without_the_sizes_the_loss_is_left_aside(by: str) -> None:
    """The model loads with its optimizer; the warning says what to do, and doing so goes on from the same state."""
    with pytest.warns(UserWarning, match=rf"{LEFT_ASIDE}.*dimensions_per_factor=.*model\.compile\(model\.optimizer"):
        model = LOADERS[by](keras_file(COMPILED))
    assert model.loss is None
    assert int(model.optimizer.iterations) == 16
    model.compile(model.optimizer, factor_loss(), run_eagerly=True)
    model.train_on_batch(*pairs(8))
    assert int(model.optimizer.iterations) == 17


@pytest.mark.parametrize("sizes", [[4, 2], [4, 2, 3]])
def test_sizes_must_add_up_to_the_code(sizes: list[int]) -> None:
    """Sizes that do not are refused when the file is loaded, not when training begins."""
    with pytest.raises(ValueError, match=r"must add up to the code's 8\. Received: dimensions_per_factor="):
        load_model(keras_file(COMPILED), dimensions_per_factor=sizes)


def test_sizes_are_integers_from_one_on() -> None:
    """Sizes of any kind of integer will do; what is none, or too small, is the caller's mistake and not the file's."""
    model = load_model(keras_file(COMPILED), dimensions_per_factor=list(np.array(SIZES)))
    assert model.loss.get_config()["dimensions_per_factor"] == SIZES
    with pytest.raises(ValueError, match="must hold the size of each factor, at least 1"):
        load_model(keras_file(COMPILED), dimensions_per_factor=[0, 8])
    halves: Any = [4.0, 4.0]
    with pytest.raises(TypeError, match="must hold integers only"):
        load_model(keras_file(COMPILED), dimensions_per_factor=halves)


@pytest.mark.parametrize(("name", "compiled"), [(COMPILED, False), ("flow_heaviside_6", True)])
def test_sizes_that_nothing_needs_are_refused(name: str, compiled: bool) -> None:
    """Sizes are for a loss that lacks them; elsewhere they would be left aside unseen."""
    with pytest.raises(ValueError, match=rf"leave it out for {name}\.keras\. Received: dimensions_per_factor="):
        load_model(keras_file(name), compile=compiled, dimensions_per_factor=SIZES)


def test_a_loss_without_sizes_takes_those_of_the_model(tmp_path: Path) -> None:
    """Where a file names its factors, a loss that lacks the sizes gets them from there."""
    model = DisentanglingFlowModel(compiled_8()._flow_layers_, factors={"residual": 4, "a": 2, "b": 2})
    model.build((None, 8))
    model.compile("adam", factor_loss(), run_eagerly=True)
    model.train_on_batch(*pairs(8))
    model.save(tmp_path / "ours.keras")
    original = as_original(tmp_path / "ours.keras", tmp_path / "original.keras")

    def name_factors(config: dict[str, Any]) -> None:
        config["config"]["factors"] = [["residual", 4], ["a", 2], ["b", 2]]

    loaded = load_model(rewrite(original, tmp_path / "named.keras", edited(name_factors)))
    assert loaded.loss.get_config()["dimensions_per_factor"] == SIZES


@pytest.mark.parametrize("name", NAMES)
def test_saved_again_the_models_load_again(name: str, tmp_path: Path) -> None:
    """Saved by this library, whole and as weights, an original gives the same numbers again."""
    model = load_model(keras_file(name), compile=False)
    model.save(tmp_path / "again.keras")
    model.save_weights(tmp_path / "again.weights.h5")
    for load in LOADERS.values():
        assert_same_numbers(load(tmp_path / "again.keras"), name)
    filled = made(name)
    filled.load_weights(tmp_path / "again.weights.h5")
    assert_same_numbers(filled, name)


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("disentangling")])
def test_trained_further_the_models_load_again(name: str, tmp_path: Path) -> None:
    """Compiled here, trained one more step and saved, an original comes back with the numbers that it then had."""
    model = load_model(keras_file(name), compile=False)
    size = model._layer_shapes_[-1][-1]
    model.compile(keras.optimizers.Adam(0.01), factor_loss([size - 4, 2, 2]), run_eagerly=True)
    x, y = pairs(size)
    model.train_on_batch(x, y)
    model.save(tmp_path / "again.keras")
    model.save_weights(tmp_path / "again.weights.h5")
    again, filled = load_model(tmp_path / "again.keras"), made(name)
    filled.load_weights(tmp_path / "again.weights.h5")
    for other in (again, filled, keras.saving.load_model(tmp_path / "again.keras")):
        np.testing.assert_array_equal(other(x), model(x))
        np.testing.assert_array_equal(other.invert(x[0]), model.invert(x[0]))
    assert again.evaluate(x, y, verbose=0) == model.evaluate(x, y, verbose=0)
    assert again.train_on_batch(x, y) == model.train_on_batch(x, y)


class Reflected(keras.layers.Layer):
    """A reader's own layer, which they call ``Reflection``."""

    def call(self, inputs: Any) -> tuple[Any, Any]:
        """Change the sign."""
        return -inputs, ops.zeros_like(inputs[:, 0])

    def invert(self, outputs: Any) -> Any:
        """Change it back."""
        return -outputs


@pytest.fixture
def own_reflection() -> Iterator[type[keras.layers.Layer]]:
    """A class that stands registered under the name of a layer of gyoza 0.3."""
    registered = keras.saving.get_custom_objects()
    before = dict(registered)
    yield keras.saving.register_keras_serializable(name="Reflection")(Reflected)
    registered.clear()
    registered.update(before)


def test_a_user_s_own_class_of_the_same_name_is_left_alone(own_reflection: Any, tmp_path: Path) -> None:
    """It is not used for files of gyoza 0.3, however they are loaded, and stays what it is for its owner's files."""
    name = "flow_heaviside_6"
    for load in LOADERS.values():
        assert_same_numbers(load(keras_file(name)), name)
    own = FlowModel([own_reflection()])
    own.build((None, 3))
    own.save(tmp_path / "own.keras")
    for load in (load_model, keras.saving.load_model):
        assert type(load(tmp_path / "own.keras")._flow_layers_[0]) is own_reflection
    assert keras.saving.get_custom_objects()["Custom>Reflection"] is own_reflection


def test_only_the_two_models_are_found_by_their_old_names() -> None:
    """The package Custom belongs to everybody; nothing else of ours stands in it."""
    ours = {
        name
        for name, item in keras.saving.get_custom_objects().items()
        if name.startswith("Custom>") and item.__module__.startswith("gyoza.")
    }
    assert ours == {"Custom>FlowModel", "Custom>DisentanglingFlowModel"}


def test_a_copy_under_another_name_loads_alike(tmp_path: Path) -> None:
    """Only the ending of a file's name matters."""
    path = shutil.copy(keras_file("flow_heaviside_6"), tmp_path / "any name.keras")
    assert_same_numbers(load_model(str(path)), "flow_heaviside_6")
