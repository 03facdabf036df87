"""What loading a flow for the service promises, and what it refuses."""

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from gyoza.inference.checks import Golden
from gyoza.loading import LoadError, load_flow, read_model
from gyoza.modelling.flow_layers import ActivationNormalization, DisentanglingFlowModel, FlowModel
from tests.loading.flows import AT, flow_model, network


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
    with pytest.raises(LoadError, match=r"names keras\.layers\.Lambda \(layer 'sneaky', flow_layers\[2\]\)"):
        load_flow(path)


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
    assert "Install the extra cpu or gpu of gyoza-serve: pip install '.[cpu]' in the checkout" in done.stderr
