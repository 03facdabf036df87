"""What loading a file promises, and what it refuses."""

import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from gyoza.inference.checks import Golden
from gyoza.loading import LoadError, load_flow, read_config, read_model
from gyoza.modelling.flow_layers import (
    ActivationNormalization,
    AdditiveCoupling,
    AffineCoupling,
    DisentanglingFlowModel,
    FlowModel,
    HeavisidePermutation,
    Reflection,
)
from gyoza.modelling.masks import HeavisideMask

AT: dict[str, Any] = {"shape": [4], "axes": [1]}
ORIGINALS = sorted((Path(__file__).parent / "data" / "original-0.3").glob("*.keras"))


def network(outputs: int, hidden: keras.layers.Layer) -> keras.Sequential:
    """A coupling network on latents [n, 4]."""
    return keras.Sequential([keras.Input((4,)), hidden, keras.layers.Dense(outputs)])


def flow_model(hidden: keras.layers.Layer | None = None, seed: int = 0) -> DisentanglingFlowModel:
    """A small flow with every kind of layer and weights that are not the initial ones."""
    hidden = hidden or keras.layers.Dense(5, activation="swish")
    layers = [
        ActivationNormalization(**AT),
        Reflection(**AT, reflection_count=2),
        AdditiveCoupling(**AT, compute_coupling_parameters=network(4, hidden), mask=HeavisideMask(**AT)),
        HeavisidePermutation(**AT),
        AffineCoupling(**AT, compute_coupling_parameters=network(8, keras.layers.Dense(5)), mask=HeavisideMask(**AT)),
    ]
    model = DisentanglingFlowModel(flow_layers=layers, factors={"residual": 2, "digit": 2})
    model.build((None, 4))
    random = np.random.RandomState(seed)
    for weight in model.trainable_weights:
        weight.assign(weight + random.uniform(0.05, 0.3, weight.shape))
    return model


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, DisentanglingFlowModel]:
    """A saved flow and the model that was saved."""
    path, model = tmp_path_factory.mktemp("flows") / "flow.keras", flow_model()
    model.save(path)
    return path, model


def rewritten(path: Path, target: Path, change: Callable[[dict[str, Any]], Any]) -> Path:
    """Copy an archive with its config changed."""
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(target, "w") as out:
        for name in source.namelist():
            data = source.read(name)
            if name == "config.json":
                data = json.dumps(change(json.loads(data))).encode()
            out.writestr(name, data)
    return target


def test_a_saved_flow_loads_compiled_and_checked(saved: tuple[Path, DisentanglingFlowModel]) -> None:
    """The loaded flow gives the model's numbers, and its checks pass."""
    path, model = saved
    loaded = load_flow(path)
    latents = np.random.RandomState(1).normal(size=(3, 4)).astype(np.float32)
    codes, logdet = model(latents)
    np.testing.assert_allclose(loaded.flow.encode(latents)[0], codes, atol=1e-5)
    np.testing.assert_allclose(loaded.flow.encode(latents)[1], logdet, atol=1e-5)
    assert [check.name for check in loaded.checks] == ["compiled as layers", "round trip", "logdet by autodiff"]
    assert all(check.passed for check in loaded.checks), loaded.checks


def test_a_loaded_flow_is_described(saved: tuple[Path, DisentanglingFlowModel]) -> None:
    """Factors, counts and library versions come with it."""
    path, model = saved
    loaded = load_flow(path)
    assert list((loaded.factors or {}).items()) == [("residual", 2), ("digit", 2)]
    assert (loaded.layers, loaded.parameters) == (5, model.count_params())
    assert loaded.libraries["keras"] == keras.__version__


def test_golden_rows_are_met_or_not(saved: tuple[Path, DisentanglingFlowModel]) -> None:
    """The golden check passes on what the model computed, and fails on anything else."""
    path, model = saved
    latents = np.random.RandomState(1).normal(size=(3, 4)).astype(np.float32)
    codes, logdet = (np.asarray(part) for part in model(latents))
    *_, met = load_flow(path, Golden(latents, codes, logdet)).checks
    *_, missed = load_flow(path, Golden(latents, codes + 0.01, logdet)).checks
    assert (met.name, met.passed, missed.passed) == ("golden vectors", True, False)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "must be a .keras archive"),
        (b"not a zip at all", "must be a .keras archive"),
    ],
)
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    """Bytes that are no archive of Keras are named as such."""
    path = tmp_path / "flow.keras"
    path.write_bytes(content)
    with pytest.raises(LoadError, match=message):
        load_flow(path)


def test_another_ending_is_refused(saved: tuple[Path, DisentanglingFlowModel], tmp_path: Path) -> None:
    """Keras picks its reader by the ending: only the one that was checked may read."""
    path = tmp_path / "flow.h5"
    path.write_bytes(saved[0].read_bytes())
    with pytest.raises(LoadError, match=r"must be a \.keras file\. Received: the ending '\.h5'"):
        load_flow(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """The error names the file."""
    with pytest.raises(LoadError, match=r"flow\.keras does not exist"):
        load_flow(tmp_path / "flow.keras")


@pytest.mark.parametrize(
    ("config", "message"),
    [(None, "must be a .keras archive"), (b"{", "must be a .keras archive"), (b"[]", "Received: list")],
)
def test_an_archive_without_a_config_is_refused(tmp_path: Path, config: bytes | None, message: str) -> None:
    """An archive needs a config that is a JSON object."""
    path = tmp_path / "flow.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", b"{}")
        if config is not None:
            archive.writestr("config.json", config)
    with pytest.raises(LoadError, match=message):
        read_config(path)


def test_a_cut_archive_is_refused(saved: tuple[Path, DisentanglingFlowModel], tmp_path: Path) -> None:
    """A file that lost its end is refused, whatever Keras would make of it."""
    path = tmp_path / "flow.keras"
    path.write_bytes(saved[0].read_bytes()[:-500])
    with pytest.raises(LoadError, match=r"must be a \.keras archive"):
        load_flow(path)


def test_a_model_that_is_no_flow_is_refused(tmp_path: Path) -> None:
    """Plain Keras models load, but only flows serve."""
    path = tmp_path / "dense.keras"
    network(2, keras.layers.Dense(3)).save(path)
    assert isinstance(read_model(path), keras.Sequential)
    with pytest.raises(LoadError, match=r"must hold a FlowModel or a subclass of it\. Received: Sequential"):
        load_flow(path)


def test_a_flow_without_weights_is_refused(tmp_path: Path) -> None:
    """A flow that was saved before it was built has nothing to serve; the error says how to build it."""
    path = tmp_path / "flow.keras"
    with pytest.warns(UserWarning, match="has not yet been built"):
        FlowModel([ActivationNormalization(**AT)]).save(path)
    with pytest.raises(LoadError, match=r"can't be compiled: .* must be built"):
        load_flow(path)


def test_code_in_a_file_is_refused_by_its_layer_s_name(tmp_path: Path) -> None:
    """A Lambda layer carries code: the file is refused before anything is deserialised."""
    path = tmp_path / "flow.keras"
    flow_model(keras.layers.Lambda(lambda x: x, name="sneaky")).save(path)
    with pytest.raises(LoadError, match=r"names keras\.layers\.Lambda \(layer 'sneaky'\)"):
        load_flow(path)


def test_parts_that_do_not_fit_are_refused(saved: tuple[Path, DisentanglingFlowModel], tmp_path: Path) -> None:
    """A config whose layers can't be built or filled is refused with Keras' own first line."""

    def widen(config: dict[str, Any]) -> dict[str, Any]:
        config["config"]["flow_layers"][0]["config"]["shape"] = [5]
        return config

    with pytest.raises(LoadError, match="can't be deserialised by Keras: "):
        load_flow(rewritten(saved[0], tmp_path / "flow.keras", widen))


@pytest.mark.parametrize("path", ORIGINALS, ids=lambda path: path.stem)
def test_flows_of_the_original_library_give_its_numbers(path: Path) -> None:
    """A file written by gyoza 0.3 loads, and its codes, logdets and latents are those of that library."""
    flow, expected = load_flow(path).flow, np.load(path.with_suffix(".npz"))
    codes, logdet = flow.encode(expected["latents"])
    np.testing.assert_allclose(codes, expected["codes"], atol=5e-6)
    np.testing.assert_allclose(logdet, expected["logdet"], atol=5e-6)
    np.testing.assert_allclose(flow.invert(expected["codes"]), expected["inverse"], atol=5e-6)


def test_a_user_s_own_class_of_the_same_name_is_left_alone() -> None:
    """A class that a user registered as the original library did neither breaks its files nor is used for them."""
    registered = keras.saving.get_custom_objects()
    registered["Custom>Reflection"] = keras.layers.Dense
    try:
        assert load_flow(ORIGINALS[0]).checks[0].passed
        assert registered["Custom>Reflection"] is keras.layers.Dense
    finally:
        del registered["Custom>Reflection"]


PYTHON = """
import sys
{before}
import {module}
assert not {{"keras", "tensorflow", "jax", "torch"}} & set(sys.modules), "a backend was imported"
"""


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("module", ["gyoza", "gyoza.inference", "gyoza.inference.checks", "app.cli"])
def test_what_needs_no_keras_imports_none(module: str) -> None:
    """The core imports neither Keras nor a backend."""
    done = run_python(PYTHON.format(before="", module=module))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("module", ["gyoza.loading", "gyoza.modelling.flow_layers"])
@pytest.mark.parametrize("missing", ["keras", "tensorflow"])
def test_what_needs_keras_says_which_extra_to_install(module: str, missing: str) -> None:
    """Without Keras or its backend the import error names the extra."""
    done = run_python(PYTHON.format(before=f"sys.modules[{missing!r}] = None", module=module))
    assert done.returncode == 1
    assert "pip install 'gyoza-serve[cpu]'" in done.stderr
