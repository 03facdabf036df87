"""What a file may name, proven on files that name something else: Keras would obey them, loading refuses first."""

import copy
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import pytest

from gyoza.allow_list import Allowed, ForeignClassError, check_classes
from gyoza.loading import LoadError, read_model

DENSE: dict[str, Any] = {"module": "keras.layers", "class_name": "Dense", "config": {"name": "dense", "units": 3}}
MESSAGE = "neither a gyoza class nor one of the plain Keras classes that may be loaded"


def sequential(*layers: dict[str, Any]) -> dict[str, Any]:
    """The config of a Keras model with these layers."""
    entry = {
        "module": "keras.layers",
        "class_name": "InputLayer",
        "config": {"batch_shape": [None, 2], "name": "input"},
    }
    return {"module": "keras", "class_name": "Sequential", "config": {"name": "net", "layers": [entry, *layers]}}


def dense(**config: Any) -> dict[str, Any]:
    """The config of a model with one dense layer, some of whose settings are others."""
    node = copy.deepcopy(DENSE)
    node["config"] |= config
    return sequential(node)


def archive(path: Path, config: Any) -> Path:
    """A .keras file with a config and nothing else."""
    with zipfile.ZipFile(path, "w") as target:
        target.writestr("config.json", json.dumps(config))
        target.writestr("metadata.json", json.dumps({"keras_version": keras.__version__, "date_saved": "-"}))
    return path


@pytest.fixture
def touched() -> Iterator[list[str]]:
    """What foreign code ran: a class and a function stand registered, as a notebook's own might."""
    ran: list[str] = []

    class Evil(keras.layers.Dense):
        """A foreign layer that tells when it is made."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            ran.append("class")
            super().__init__(*args, **kwargs)

    def evil(*args: Any, **kwargs: Any) -> Any:
        ran.append("function")
        return args[0] if args else None

    registered = keras.saving.get_custom_objects()
    foreign = {"evil>Evil": Evil, "evil>evil": evil}
    registered.update(foreign)
    yield ran
    for name in foreign:
        del registered[name]


FOREIGN: dict[str, dict[str, Any]] = {
    "a registered class behind a known name": sequential({**DENSE, "registered_name": "evil>Evil"}),
    "a registered class as an initializer": dense(
        kernel_initializer={
            "module": "keras.initializers",
            "class_name": "Zeros",
            "config": {},
            "registered_name": "evil>Evil",
        }
    ),
    "a registered function as a text": dense(activation="evil>evil"),
    "a registered function in place of a layer": {
        "module": "gyoza.modelling.flow_layers",
        "class_name": "FlowModel",
        "registered_name": "gyoza>FlowModel",
        "config": {"flow_layers": ["evil>evil"]},
    },
    "a function of Keras as an initializer": dense(
        kernel_initializer={"module": "keras.initializers", "class_name": "deserialize", "config": {}}
    ),
    "a function of Keras as an activation": dense(
        activation={"module": "keras.activations", "class_name": "function", "config": "relu"}
    ),
    "a function of Python": dense(
        activation={"module": "builtins", "class_name": "function", "config": "eval", "registered_name": "function"}
    ),
    "a module of Python": sequential({"module": "os", "class_name": "system", "config": "true"}),
    "a layer that reads a path": sequential({"module": "keras.layers", "class_name": "TFSMLayer", "config": {}}),
    "a utility of Keras": sequential({"module": "keras.utils", "class_name": "get_file", "config": {}}),
    "a function of gyoza": sequential({"module": "gyoza.modelling.backend", "class_name": "jacobian", "config": {}}),
    "a gyoza module that only begins so": sequential(
        {"module": "gyoza.modelling_evil", "class_name": "Reflection", "config": {}, "registered_name": "Reflection"}
    ),
    "a class whose name is no text": sequential({"module": "keras.layers", "class_name": ["Dense"], "config": {}}),
    "a module that is no text": sequential({"module": 3, "class_name": "Dense", "config": {}}),
    "a module that is a list": sequential({"module": ["keras.layers"], "class_name": "Dense", "config": {}}),
    "a registered name that is a list": sequential({**DENSE, "registered_name": ["Dense"]}),
    "a training set-up of a part": {
        **sequential(DENSE),
        "config": {"deep": [{**DENSE, "compile_config": {"loss": 1}}]},
    },
    "a lambda": dense(activation={"class_name": "__lambda__", "config": {"value": "x"}}),
    "a class without a module": sequential({"class_name": "Dense", "config": {}}),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_foreign_names_are_refused_before_anything_runs(name: str, tmp_path: Path, touched: list[str]) -> None:
    """Wherever a config names a foreign class or function, the file is refused and nothing of it runs."""
    with pytest.raises(LoadError, match=MESSAGE):
        read_model(archive(tmp_path / "flow.keras", FOREIGN[name]))
    assert touched == []


def test_the_same_files_run_foreign_code_in_keras(touched: list[str]) -> None:
    """The refused configs are real: Keras itself makes the foreign class and calls the function."""
    keras.saving.deserialize_keras_object(FOREIGN["a registered class behind a known name"])
    assert "class" in touched


@pytest.mark.parametrize(
    "change",
    [{}, {"registered_name": None}, {"registered_name": "Dense"}],
    ids=["as written", "unregistered", "registered by its own name"],
)
def test_plain_keras_is_known(change: dict[str, Any]) -> None:
    """Plain layers pass, under every name that Keras writes for them."""
    check_classes(sequential({**DENSE, **change}))


@pytest.mark.parametrize(
    "config",
    [
        {"name": "a>b"},
        {"dtype": {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "float64"}}},
        {"kernel_initializer": {"module": "keras.initializers", "class_name": "Zeros", "config": {}}},
    ],
    ids=["name", "dtype", "initializer"],
)
def test_what_keras_writes_into_configs_is_known(config: dict[str, Any]) -> None:
    """Titles, policies and initializers pass."""
    check_classes(dense(**config))


def test_a_training_set_up_at_the_top_is_left_aside() -> None:
    """A compiled model's optimizer and loss are not loaded, so they may be anything."""
    check_classes({**sequential(DENSE), "compile_config": {"module": "os", "class_name": "system"}})
    with pytest.raises(ForeignClassError):
        check_classes({"deep": [{**sequential(DENSE), "compile_config": {"loss": "mse"}}]})


def test_what_gyoza_registers_is_on_the_list_or_not() -> None:
    """Whoever trusts everything else trusts no name that only seems to be gyoza's."""
    assert not Allowed(own_code=True, modules=frozenset({"gyoza"})).trusts("gyoza.modelling.masks")
    assert Allowed(modules=frozenset({"mine"})).trusts("mine.layers")
