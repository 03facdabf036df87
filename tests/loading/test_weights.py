"""What loading weights alone promises: they fit, or the error says where they do not and nothing has changed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
from keras import ops

from gyoza.loading import LoadError, load_model, load_weights
from gyoza.modelling.flow_layers import ActivationNormalization, FlowModel, HeavisidePermutation, Reflection
from gyoza.modelling.losses import SupervisedFactorLoss
from tests.loading.flows import flow_model, pairs


def short_flow(count: int = 2, *more: Any) -> FlowModel:
    """A flow on [4] whose reflection has so many normals, with more layers behind."""
    model = FlowModel([ActivationNormalization([4], [1]), Reflection([4], [1], reflection_count=count), *more])
    model.build((None, 4))
    return model


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """The weights of a short flow."""
    short_flow().save_weights(tmp_path / "flow.weights.h5")
    return tmp_path / "flow.weights.h5"


def test_weights_come_back(tmp_path: Path) -> None:
    """Weights that this library saved fill another model of the same layers; a path may be a text."""
    model, other = flow_model(seed=0), flow_model(seed=1)
    model.save_weights(tmp_path / "flow.weights.h5")
    load_weights(other, str(tmp_path / "flow.weights.h5"))
    x = np.random.default_rng(0).standard_normal((3, 4)).astype("float32")
    np.testing.assert_array_equal(other(x)[0], model(x)[0])


@pytest.mark.parametrize("initialised", [False, True])
def test_whether_a_normalization_is_initialised_comes_back(initialised: bool, tmp_path: Path) -> None:
    """The flag is saved with the weights: what was not initialised from data yet still will be."""
    model, other = short_flow(), short_flow()
    x = 5 + np.random.default_rng(0).standard_normal((64, 4)).astype("float32")
    if initialised:
        model(x, training=True)
    model.save_weights(tmp_path / "flow.weights.h5")
    load_weights(other, tmp_path / "flow.weights.h5")
    other(2 * x, training=True)
    location = ops.convert_to_numpy(other._flow_layers_[0]._location_)
    np.testing.assert_allclose(location, x.mean(axis=0) * (1 if initialised else 2), rtol=1e-5)


def test_an_optimizer_comes_back_with_the_weights(tmp_path: Path) -> None:
    """The state of a compiled model's optimizer is read where the model has one that is built."""
    model, other = flow_model(), flow_model(seed=1)
    for each in (model, other):
        each.compile("adam", SupervisedFactorLoss([2, 2]), run_eagerly=True)
        each.train_on_batch(*pairs())
    model.train_on_batch(*pairs())
    model.save_weights(tmp_path / "flow.weights.h5")
    load_weights(other, tmp_path / "flow.weights.h5")
    assert int(other.optimizer.iterations) == 2
    assert other.train_on_batch(*pairs()) == model.train_on_batch(*pairs())


MISFITS: dict[str, tuple[Callable[[], FlowModel], str]] = {
    "another size": (
        lambda: short_flow(3),
        (
            r"flow_layers\[1\], the Reflection 'reflection\w*': its weight vars/0 must have the shape \[3, 4\]\. "
            r"Received: shape=\[2, 4\]\. Make the model of the same layers"
        ),
    ),
    "a layer too many": (
        lambda: short_flow(2, Reflection([4], [1], reflection_count=1)),
        r"flow_layers\[2\], the Reflection '\w+': its weight vars/0 of the shape \[1, 4\] is missing\. Make the model",
    ),
    "other layers": (
        flow_model,
        r"flow_layers\[2\], the AdditiveCoupling '\w+': its weight \w+/layers/dense/vars/0 of the shape \[4, 5\] is missing",
    ),
}


@pytest.mark.parametrize("case", MISFITS)
def test_weights_that_do_not_fit_leave_the_model_as_it_was(case: str, weights: Path) -> None:
    """The error names the first layer that they do not fit; none of the others was filled."""
    make, message = MISFITS[case]
    model = make()
    for weight in model.trainable_weights:
        weight.assign(weight + 0.5)
    before = model.get_weights()
    with pytest.raises(LoadError, match=rf"^flow\.weights\.h5 does not fit {model.name}\. {message}"):
        load_weights(model, weights)
    for found, expected in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_the_error_of_keras_is_another(weights: Path) -> None:
    """Keras itself says of a weight of another shape that there is none, and fills the other layers."""
    with pytest.raises(ValueError, match="expected 1 variables, but received 0 variables"):
        short_flow(3).load_weights(weights)


def test_an_optimizer_that_was_not_filled_stays_as_it_was(weights: Path, tmp_path: Path) -> None:
    """Where the weights do not fit, neither is the optimizer's state that of the file."""
    model = flow_model()
    model.compile("adam", SupervisedFactorLoss([2, 2]), run_eagerly=True)
    model.train_on_batch(*pairs())
    model.save_weights(tmp_path / "trained.weights.h5")
    with h5py.File(tmp_path / "trained.weights.h5", "a") as file:
        del file["layers/reflection/vars/0"]
    model.train_on_batch(*pairs())
    with pytest.raises(LoadError, match=r"flow_layers\[1\], the Reflection '\w+': its weight vars/0 of the shape"):
        load_weights(model, tmp_path / "trained.weights.h5")
    assert int(model.optimizer.iterations) == 2


def test_a_file_with_more_layers_is_refused(tmp_path: Path) -> None:
    """Keras would fill the layers that there are and say nothing of the others; the error lists what the file holds."""
    short_flow(2, HeavisidePermutation([4], [1])).save_weights(tmp_path / "flow.weights.h5")
    model = short_flow()
    model.load_weights(tmp_path / "flow.weights.h5")
    message = r"more layers than the model's 2: activation_normalization, heaviside_permutation, reflection\. Make"
    with pytest.raises(LoadError, match=message):
        load_weights(model, tmp_path / "flow.weights.h5")


class Proud(FlowModel):
    """A reader's flow with a layer that is no flow layer, and one that it keeps elsewhere too."""

    def __init__(self, flow_layers: Any = (), **kwargs: Any) -> None:
        """Keep them."""
        super().__init__(flow_layers, **kwargs)
        self.first = self._flow_layers_[0]
        self.head = keras.layers.Dense(2)

    def build(self, input_shape: Any) -> None:
        """Build the head too."""
        super().build(input_shape)
        self.head.build(input_shape)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        ("head/vars/0", r"the Proud '\w+': its weight head/vars/0 of the shape \[4, 2\] is missing"),
        ("first/vars/0", r"the Proud '\w+': its weight first/vars/0 of the shape \[4\] is missing"),
        ("layers/reflection/vars/0", r"flow_layers\[1\], the Reflection '\w+': its weight vars/0"),
    ],
)
def test_what_is_no_layer_of_the_flow_is_named_with_the_model(weight: str, message: str, tmp_path: Path) -> None:
    """Weights that a model keeps beside its layers are named by where they stand in the file."""
    model = Proud([ActivationNormalization([4], [1]), Reflection([4], [1], reflection_count=2)])
    model.build((None, 4))
    model.save_weights(tmp_path / "flow.weights.h5")
    with h5py.File(tmp_path / "flow.weights.h5", "a") as file:
        del file[weight]
    with pytest.raises(LoadError, match=message):
        load_weights(model, tmp_path / "flow.weights.h5")


@keras.saving.register_keras_serializable(package="tests")
class Fussy(Reflection):
    """A reader's layer that is not content with its weights."""

    def load_own_variables(self, store: Any) -> None:
        """Say so."""
        raise RuntimeError("these normals are not normal\nfor reasons")


def test_where_every_shape_fits_the_layer_s_own_words_are_shown(tmp_path: Path) -> None:
    """A layer that refuses weights of the right shapes is quoted, one line of it, whichever file they are in."""
    model = FlowModel([Fussy([4], [1], reflection_count=2)])
    model.build((None, 4))
    model.save_weights(tmp_path / "flow.weights.h5")
    model.save(tmp_path / "flow.keras")
    with pytest.raises(LoadError, match=rf"does not fit {model.name}\. these normals are not normal\. Make the model"):
        load_weights(model, tmp_path / "flow.weights.h5")
    with pytest.raises(LoadError, match=r"can't be loaded\. these normals are not normal\. Save the model anew"):
        load_model(tmp_path / "flow.keras")


def test_a_model_that_is_not_built_is_refused(weights: Path) -> None:
    """There is nothing to fill before a model is built; the error says how to build it."""
    with pytest.raises(ValueError, match=r"must be built before it is filled; .* Received: built=False"):
        load_weights(FlowModel([Reflection([4], [1], reflection_count=2)]), weights)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("flow.h5", b"", r"flow\.h5 must be a \.weights\.h5 file\. Received: the ending '\.h5'"),
        ("flow.weights.h5", None, r"flow\.weights\.h5 does not exist"),
        (
            "flow.weights.h5",
            b"",
            r"must be a file as written by save_weights\(\), whole; it can't be read: .*\. Copy it",
        ),
    ],
)
def test_what_is_no_file_of_weights_is_refused(name: str, content: bytes | None, message: str, tmp_path: Path) -> None:
    """Another ending, no file, and no such content are told apart."""
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(LoadError, match=message):
        load_weights(short_flow(), tmp_path / name)


def test_a_cut_file_is_refused(weights: Path) -> None:
    """A file that lost its end is refused, with the reason."""
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(
        LoadError, match=r"it can't be read: .*truncated file.*\. Copy it again, or save the weights anew"
    ):
        load_weights(short_flow(), weights)


def test_an_array_in_place_of_the_layers_is_refused(tmp_path: Path) -> None:
    """A file of another make is named as such."""
    path = tmp_path / "flow.weights.h5"
    with h5py.File(path, "w") as file:
        file["layers"] = np.zeros(3)
    with pytest.raises(LoadError, match=r"must hold a group of layers.*Received: an array"):
        load_weights(short_flow(), path)


def test_what_was_checked_is_what_is_loaded(weights: Path) -> None:
    """A file that is replaced after it was looked at does not get past the look; whoever loads it reads a copy."""
    model, read = short_flow(), []

    class Replacing(FlowModel):
        """A flow whose file changes between the look at it and its loading."""

        def load_weights(self, filepath: Any, *args: Any, **kwargs: Any) -> None:
            weights.write_bytes(b"another file")
            read.append(Path(filepath))
            super().load_weights(filepath, *args, **kwargs)

    flow = Replacing(model._flow_layers_)
    flow.build((None, 4))
    load_weights(flow, weights)
    assert read[0] != weights
    assert not read[0].exists()
