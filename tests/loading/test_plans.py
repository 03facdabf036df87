"""What compiling a file ahead of time promises: a plan that is proven to be the file's flow, or none."""

import hashlib
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from app.model import load_with_plan
from gyoza.inference import load_checked_plan, load_plan
from gyoza.inference.checks import Golden, GoldenError
from gyoza.loading import LoadError, compile_file
from gyoza.modelling.flow_layers import DisentanglingFlowModel, FlowModel, HeavisidePermutation
from tests.loading.flows import AT, flow_model

LATENTS = np.random.RandomState(1).normal(size=(3, 4)).astype(np.float32)


def golden(model: Any, error: float = 0.0) -> Golden:
    """Rows and what the model makes of them, but for an error."""
    codes, logdet = (np.asarray(part) for part in model(LATENTS))
    return Golden(LATENTS, codes + error, logdet)


def test_a_file_is_compiled_and_proven(saved: tuple[Path, DisentanglingFlowModel], tmp_path: Path) -> None:
    """The plan gives the model's numbers, records its checks and the file's digest, and so is served in its place."""
    path, model = saved
    plan = tmp_path / "plan.safetensors"
    loaded = compile_file(str(path), str(plan), golden(model))
    assert {check.name for check in loaded.checks} == {
        "compiled as layers",
        "logdet by autodiff",
        "compiled as its steps",
        "round trip",
        "logdet by differences",
        "golden vectors",
    }
    assert all(check.passed for check in loaded.checks)
    files = {
        name: hashlib.sha256(file.read_bytes()).hexdigest()
        for name, file in {"flow.keras": path, "plan.safetensors": plan}.items()
    }
    assert load_checked_plan(plan)[1].flow_digest == files["flow.keras"]
    np.testing.assert_allclose(load_with_plan(plan, None, files).flow.encode(LATENTS)[0], model(LATENTS)[0], atol=1e-5)


def test_no_plan_is_written_of_a_flow_that_is_not_proven(
    saved: tuple[Path, DisentanglingFlowModel], tmp_path: Path
) -> None:
    """A check that fails leaves what was there, and the error has the figures."""
    path, model = saved
    plan = tmp_path / "plan.safetensors"
    plan.write_text("old")
    with pytest.raises(LoadError, match=r"flow\.keras does not pass its checks.*\(golden vectors: error 0\.0"):
        compile_file(path, plan, golden(model, 0.1))
    with pytest.raises(GoldenError, match="Record them anew"):
        compile_file(path, plan, Golden(LATENTS[:, :2], LATENTS, LATENTS[:, 0]))
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {"plan.safetensors": "old"}


def test_no_plan_takes_its_place_that_is_not_proven(
    saved: tuple[Path, DisentanglingFlowModel], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plan that fails when it is read back, though the flow passed, is removed again."""
    path, model = saved
    wrong = golden(model, 0.1)
    monkeypatch.setattr("gyoza.loading.plans.load_checked_plan", lambda part, _: load_checked_plan(part, wrong))
    with pytest.raises(LoadError, match=r"its plan does not pass its checks, so no plan was written \(golden"):
        compile_file(path, tmp_path / "plan.safetensors")
    assert not list(tmp_path.iterdir())


def test_a_flow_that_calls_code_has_no_plan(tmp_path: Path) -> None:
    """What can't be data is refused, as when a flow is saved."""
    flow_model(keras.layers.LayerNormalization()).save(tmp_path / "flow.keras")
    with pytest.raises(ValueError, match="Only a flow made of known steps can be saved as a plan"):
        compile_file(tmp_path / "flow.keras", tmp_path / "plan.safetensors")
    assert [file.name for file in tmp_path.iterdir()] == ["flow.keras"]


def test_a_file_that_is_missing_or_no_flow_is_refused(tmp_path: Path) -> None:
    """As by ``load_flow``."""
    with pytest.raises(LoadError, match=r"flow\.keras does not exist"):
        compile_file(tmp_path / "flow.keras", tmp_path / "plan.safetensors")
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)]).save(tmp_path / "flow.keras")
    with pytest.raises(LoadError, match="must hold a FlowModel"):
        compile_file(tmp_path / "flow.keras", tmp_path / "plan.safetensors")


@pytest.mark.parametrize("name", ["type", "array", "pairs", "0", "steps"])
def test_a_flow_may_have_any_factor(tmp_path: Path, name: str) -> None:
    """A factor's name never comes into the way of its plan."""
    for number, factors in enumerate(({name: 4}, {"residual": 3, name: 1})):
        model = DisentanglingFlowModel([HeavisidePermutation(**AT)], factors=factors)
        model.build((None, 4))
        model.save(tmp_path / f"{number}.keras")
        compile_file(tmp_path / f"{number}.keras", tmp_path / "plan")
        origin = load_plan(tmp_path / "plan").plan.origin
        assert origin is not None
        assert list((origin.factors or {}).items()) == list(factors.items())


def test_a_plan_has_no_factors_where_its_flow_has_none(tmp_path: Path) -> None:
    """A plain flow's plan names none."""
    model = FlowModel([HeavisidePermutation(**AT)])
    model.build((None, 4))
    model.save(tmp_path / "flow.keras")
    assert compile_file(tmp_path / "flow.keras", tmp_path / "plan").factors is None
