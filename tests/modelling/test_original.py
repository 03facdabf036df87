"""How configs of gyoza 0.3 become ours."""

from collections.abc import Iterator
from typing import Any

import keras
import pytest

from gyoza.modelling.flow_layers import FlowModel, HeavisidePermutation
from gyoza.modelling.original import complete, lacks_sizes, make_readable, renamed, with_sizes

LOSS: dict[str, Any] = {
    "module": "gyoza.modelling.losses",
    "class_name": "SupervisedFactorLoss",
    "registered_name": "SupervisedFactorLoss",
    "config": {"name": "supervised_factor_loss"},
}
OURS: dict[str, Any] = {**LOSS, "registered_name": "gyoza>SupervisedFactorLoss"}
SIZED: dict[str, Any] = {**OURS, "config": {**OURS["config"], "dimensions_per_factor": [2, 1]}}
THEIRS: dict[str, Any] = {**LOSS, "module": "mine"}


def test_names_of_the_original_library_become_ours() -> None:
    """Only nodes of gyoza's modules are renamed, and the given config stays as it is."""
    ours = {"module": "gyoza.modelling.masks", "class_name": "Mask", "registered_name": "Custom>Mask"}
    theirs = {"module": "mine", "class_name": "Mask", "registered_name": "Custom>Mask"}
    config = {"parts": [ours, theirs, 3]}
    assert renamed(config) == {"parts": [{**ours, "registered_name": "gyoza>Mask"}, theirs, 3]}
    assert ours["registered_name"] == "Custom>Mask"


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (LOSS, SIZED),
        ({"codes": LOSS}, {"codes": SIZED}),
        ([LOSS, "mse"], [SIZED, "mse"]),
        (SIZED, SIZED),
        ({**LOSS, "config": None}, {**SIZED, "config": {"dimensions_per_factor": [2, 1]}}),
        (THEIRS, THEIRS),
        ("mse", "mse"),
        (None, None),
    ],
    ids=["alone", "in a dict", "in a list", "with sizes", "without a config", "of another", "of Keras", "none"],
)
def test_a_loss_gets_the_sizes_that_it_lacks(loss: Any, expected: Any) -> None:
    """Sizes are filled in wherever a factor loss lacks them, and nowhere else; the given config stays as it is."""
    training = {"optimizer": "adam", "loss": loss}
    assert lacks_sizes(with_sizes(training, [2, 1])) is False
    assert complete(training, [2, 1]) == {"optimizer": "adam", "loss": expected}
    assert training["loss"] is loss


@pytest.mark.parametrize("loss", [LOSS, [LOSS], {"codes": LOSS}], ids=["alone", "in a list", "in a dict"])
def test_a_loss_whose_sizes_are_not_known_is_left_aside(loss: Any) -> None:
    """Without sizes the warning says what to do, and everything but the loss stays."""
    with pytest.warns(
        UserWarning, match=r"load the file by gyoza\.loading\.load_model\(path, dimensions_per_factor=\["
    ):
        assert complete({"optimizer": "adam", "loss": loss}, []) == {"optimizer": "adam", "loss": None}


def test_a_set_up_that_lacks_nothing_stays() -> None:
    """A model without factors restores every other loss without a word."""
    for loss in (SIZED, THEIRS, "mse", None):
        assert complete({"loss": loss}, []) == {"loss": loss}


@pytest.fixture
def registered() -> Iterator[dict[str, Any]]:
    """What is registered with Keras, put back afterwards."""
    items = keras.saving.get_custom_objects()
    before = dict(items)
    yield items
    items.clear()
    items.update(before)


def test_a_name_that_is_someone_s_own_is_not_taken(registered: dict[str, Any]) -> None:
    """What stands registered under a model's old name before gyoza is imported stays; so does what comes later."""
    registered["Custom>FlowModel"] = keras.Sequential
    make_readable(FlowModel)
    assert registered["Custom>FlowModel"] is keras.Sequential
    del registered["Custom>FlowModel"]
    make_readable(FlowModel)
    own = keras.saving.register_keras_serializable(name="FlowModel")(type("FlowModel", (keras.Model,), {}))
    assert registered["Custom>FlowModel"] is own


def test_a_json_of_the_original_library_makes_a_model() -> None:
    """Keras makes the model of a config in the old names, of our class, which is saved under our name."""
    model = FlowModel([HeavisidePermutation([4], [1])])
    old = model.to_json().replace("gyoza>", "Custom>")
    again = keras.models.model_from_json(old)
    assert type(again) is FlowModel
    assert "Custom>" in old
    assert "Custom>" not in again.to_json()
