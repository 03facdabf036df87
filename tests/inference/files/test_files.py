"""What plans as files promise: the same numbers again, and a clear refusal of everything else."""

import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from gyoza.inference import CompiledFlow, PlanError, Proof, load_checked_plan, load_plan, read_plan, write_plan
from gyoza.inference.checks import Check, Golden
from gyoza.inference.files.description import FORMAT
from gyoza.inference.files.reading import read_safetensors
from gyoza.inference.plan import Affine, Origin, Plan
from tests.inference.flows import SIZE, plan, steps

KNOWN = [step for name, step in steps().items() if "opaque" not in name]
ORIGIN = Origin({"residual": 2, "digit": 4}, 7, 123, {"gyoza": "1.0"})
ROWS = np.random.RandomState(3).normal(size=(4, SIZE))
Parts = dict[str, Any]


def known(dtype: Any = np.float32) -> Plan:
    """A plan of every step that can be in a file."""
    return replace(plan(*KNOWN, dtype=dtype), origin=ORIGIN)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A plan's file."""
    path = tmp_path / "plan.safetensors"
    write_plan(path, known())
    return path


def changed(path: Path, change: Callable[[Parts], object], **arrays: Any) -> Path:
    """Change a plan's described parts, or its arrays, and return the file."""
    metadata, found = read_safetensors(path.read_bytes())
    parts = json.loads(metadata["plan"])
    change(parts)
    save_file({**found, **arrays}, path, {"format": metadata["format"], "plan": json.dumps(parts)})
    return path


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_plan_comes_back_as_it_was(tmp_path: Path, dtype: str) -> None:
    """A loaded plan gives the same numbers bit by bit, its shapes, dtype and origin."""
    flow = CompiledFlow(replace(known(dtype), latent_shape=(2, 3)))
    flow.save(tmp_path / "plan.safetensors")
    loaded = load_plan(str(tmp_path / "plan.safetensors"))
    rows = ROWS.reshape(4, 2, 3)
    for found, expected in zip(loaded.encode(rows), flow.encode(rows), strict=True):
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(loaded.invert(ROWS), flow.invert(ROWS))
    assert (loaded.latent_shape, loaded.code_shape, loaded.dtype) == ((2, 3), (SIZE,), np.dtype(dtype))
    assert loaded.plan.origin == ORIGIN


def test_a_plan_runs_without_keras(path: Path) -> None:
    """Loading and running one imports neither Keras nor a backend."""
    code = f"""
import sys
from gyoza.inference import load_plan
load_plan({str(path)!r}).encode([[0.0] * {SIZE}])
sys.exit(bool({{"keras", "tensorflow", "jax", "torch"}} & set(sys.modules)))
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_file_tells_how_it_was_proven(path: Path) -> None:
    """Recorded checks and the flow's digest come back; what can be checked again is, and replaces what was recorded."""
    recorded = (Check("compiled as layers", 2e-7, 1e-4), Check("round trip", 9.0, 1e-3))
    write_plan(path, known(), Proof(recorded, "0" * 64))
    loaded, proof = load_checked_plan(path)
    assert proof.flow_digest == "0" * 64
    assert [check.name for check in loaded.checks] == [
        "compiled as layers",
        "compiled as its steps",
        "round trip",
        "logdet by differences",
    ]
    assert all(check.passed for check in loaded.checks)
    assert (loaded.factors, loaded.layers, loaded.parameters, loaded.libraries) == tuple(vars(ORIGIN).values())


def test_golden_rows_are_met_or_not(path: Path) -> None:
    """The golden check passes on what the flow computed, and fails on anything else."""
    codes, logdet = load_plan(path).encode(ROWS)
    *_, met = load_checked_plan(path, Golden(ROWS, codes, logdet))[0].checks
    *_, missed = load_checked_plan(path, Golden(ROWS, codes + 0.01, logdet))[0].checks
    assert (met.name, met.passed, missed.passed) == ("golden vectors", True, False)


def test_what_is_not_recorded_is_none(path: Path) -> None:
    """A plan that was made by hand tells nothing of a model."""
    write_plan(path, plan(*KNOWN))
    loaded, proof = load_checked_plan(path)
    assert (loaded.factors, loaded.layers, loaded.parameters, dict(loaded.libraries)) == (None, None, None, {})
    assert proof == Proof()


@pytest.mark.parametrize(("name", "source"), [("opaque", "a layer"), ("opaque network", "a network")])
def test_what_calls_code_is_not_saved(tmp_path: Path, name: str, source: str) -> None:
    """A plan is data: a flow with code in it is refused, and no file is left behind."""
    with pytest.raises(ValueError, match=f"made of known steps .* Received: one that calls {source}"):
        CompiledFlow(plan(steps()[name])).save(tmp_path / "plan.safetensors")
    assert not list(tmp_path.iterdir())


def test_columns_that_are_slices_are_saved_as_indices(tmp_path: Path) -> None:
    """What a fused plan calls a slice reads back as the same columns."""
    step: Any = steps()["additive coupling"]
    sliced = replace(step, kept=slice(0, 3), changed=slice(3, 6))
    write_plan(tmp_path / "plan", plan(sliced))
    (found,) = read_plan(tmp_path / "plan").plan.steps
    assert (found.kept.tolist(), found.changed.tolist()) == ([0, 1, 2], [3, 4, 5])  # type: ignore[union-attr]


def test_a_failed_save_leaves_the_old_file(path: Path) -> None:
    """A file that is there is replaced whole or not at all."""
    before = path.read_bytes()
    with pytest.raises(ValueError, match="known steps"):
        write_plan(path, plan())
    assert path.read_bytes() == before


def test_a_newer_format_is_refused(path: Path) -> None:
    """The message says which formats are read."""
    save_file(load_file(path), path, {"format": f"gyoza plan {FORMAT + 1}", "plan": "{}"})
    with pytest.raises(PlanError, match=rf"reads formats up to {FORMAT}. Received: format {FORMAT + 1}"):
        read_plan(path)


@pytest.mark.parametrize(
    ("metadata", "text"),
    [
        (None, "must name the format 'gyoza plan'"),
        ({"format": "pt"}, "must name the format 'gyoza plan'"),
        ({"format": "gyoza plan 1", "plan": "[]"}, "its parts must be"),
        ({"format": "gyoza plan 1", "plan": "{"}, "must hold a plan"),
        ({"format": "gyoza plan 1"}, "must hold a plan"),
        ({"format": "gyoza plan 1", "plan": "[" * 100_000}, "must hold a plan"),
    ],
)
def test_other_safetensors_files_are_refused(path: Path, metadata: dict[str, str] | None, text: str) -> None:
    """Weights of something else are no plan."""
    save_file(load_file(path), path, metadata)
    with pytest.raises(PlanError, match=text):
        read_plan(path)


def first(parts: Parts, kind: str) -> Parts:
    """The description of the first step of a kind."""
    found: Parts = next(step for step in parts["steps"] if step["type"] == kind)
    return found


WRONG: dict[str, tuple[Callable[[Parts], object], str]] = {
    "dtype": (lambda parts: parts.update(dtype="float16"), "its dtype must be one of"),
    "no dtype": (lambda parts: parts.update(dtype="floaty"), "must hold a plan"),
    "shape": (lambda parts: parts.update(latent_shape=[SIZE, 0]), "shapes must hold 1 to 16 integers of 1 or more"),
    "other size": (lambda parts: parts.update(code_shape=[SIZE + 1]), "as many entries as a latent"),
    "both sizes": (lambda parts: parts.update(latent_shape=[12], code_shape=[12]), r"step 0 \(Gather\): indices"),
    "no steps": (lambda parts: parts.update(steps=3), "its steps must be a list"),
    "a check as a step": (
        lambda parts: parts.update(steps=[{"type": "Check", "name": "a", "error": 0, "limit": 0}]),
        r"step 0 \(Check\): there is no such step",
    ),
    "unknown class": (lambda parts: first(parts, "Gather").update(type="Opaque"), "it names 'Opaque', which is not"),
    "unknown field": (lambda parts: first(parts, "Gather").update(more=1), "unexpected keyword argument"),
    "unknown array": (lambda parts: first(parts, "Gather")["indices"].update(array="x"), "it names 'x', which is not"),
    "unhashable": (lambda parts: first(parts, "Gather")["indices"].update(array=[]), "must hold a plan"),
    "logdet": (lambda parts: first(parts, "Linear").update(logdet="0"), "logdet must be a finite number"),
    "half a shift": (lambda parts: first(parts, "Linear").update(shift=0), "must come together"),
    "shift": (lambda parts: first(parts, "Linear").update(shift=0, unshift=0), "shift must be an array"),
    "bound": (lambda parts: first(parts, "Coupling").update(law={"type": "BoundedAffine", "bound": -1}), "bound must"),
    "law": (lambda parts: first(parts, "Coupling").update(law={"type": "Gather", "indices": 0}), "no such law"),
    "wrong law": (
        lambda parts: first(parts, "Coupling").update(law={"type": "BoundedAffine", "bound": 1}),
        "the network must give 6 numbers. Received: 3",
    ),
    "bins": (lambda parts: parts["steps"][-1]["law"].update(bins=True), "bins must be an integer of 2 or more"),
    "share": (lambda parts: parts["steps"][-1]["law"].update(smallest_share=0.5), "numbers must be in range"),
    "no network": (lambda parts: first(parts, "Coupling").update(network=None), "one dense layer or more"),
    "activation": (
        lambda parts: first(parts, "Coupling")["network"]["layers"][0].update(activation="eval"),
        "its activation one of",
    ),
    "kept": (lambda parts: first(parts, "Coupling").update(kept=[0]), "kept and changed must be integers"),
    "an array twice": (
        lambda parts: first(parts, "Coupling").update(kept=first(parts, "Coupling")["changed"]),
        r"it names 'steps\.3\.changed', which is not there, or is named before",
    ),
    "a step twice": (lambda parts: parts.update(steps=2 * parts["steps"]), "or is named before"),
    "origin": (lambda parts: parts.update(origin=3), "its origin must be an Origin"),
    "layers": (lambda parts: parts["origin"].update(layers="many"), "layers and parameters must be integers"),
    "libraries": (lambda parts: parts["origin"].update(libraries={"pairs": [["gyoza", 1]]}), "map names to versions"),
    "a library twice": (
        lambda parts: parts["origin"].update(libraries={"pairs": [["gyoza", "1"], ["gyoza", "2"]]}),
        "hold each name once",
    ),
    "factors": (lambda parts: parts["origin"].update(factors=[]), "factors must map names to sizes"),
    "factor name": (
        lambda parts: parts["origin"].update(factors={"pairs": [["a.b", 6]]}),
        "A factor's name must match",
    ),
    "factor size": (
        lambda parts: parts["origin"].update(factors={"pairs": [["a", 0]]}),
        "the size of factor a must be",
    ),
    "checks": (lambda parts: parts.update(checks=[3]), "checks must each have"),
    "no checks": (lambda parts: parts.update(checks=3), "checks must each have"),
    "digest": (lambda parts: parts.update(flow_digest=3), "flow_digest must be a SHA-256 in hexadecimal"),
}


@pytest.mark.parametrize("name", sorted(WRONG))
def test_a_part_that_is_not_as_it_must_be_is_refused(path: Path, name: str) -> None:
    """Whatever was changed, the refusal names the file, the step and the rule."""
    change, text = WRONG[name]
    with pytest.raises(PlanError, match=text) as caught:
        read_plan(changed(path, change))
    assert str(caught.value).startswith("plan.safetensors must hold a plan")


@pytest.mark.parametrize(
    ("array", "value", "text"),
    [
        ("steps.0.indices", np.zeros(SIZE, np.int64), "each of 0 … 5 once"),
        ("steps.0.indices", np.zeros(SIZE), "indices must be integers"),
        ("steps.1.scale", np.zeros(SIZE), "scale must nowhere be 0"),
        ("steps.1.scale", np.ones(2), r"scale must be an array of float32 or float64 of the shape \[6\]"),
        ("steps.1.location", np.full(SIZE, np.nan), "location must be finite"),
        ("steps.1.location", np.zeros(SIZE, np.float16), "location must be an array"),
        ("steps.2.matrix", 2 * np.eye(SIZE), "matrix must be orthogonal; it is off by 3"),
        ("steps.2.matrix", np.eye(4), "and its size divide 6"),
        ("steps.2.matrix", np.zeros(3), "matrix must be square"),
        ("steps.3.kept", np.array([4, 2, 0]), "must be ascending"),
        ("steps.3.kept", np.array([1, 3, 5]), "each of 0 … 5 once, together"),
        ("steps.3.kept", np.array([0, 2]), "each of 0 … 5 once, together"),
    ],
)
def test_an_array_that_is_not_as_it_must_be_is_refused(path: Path, array: str, value: Any, text: str) -> None:
    """A permutation is one, a rotation is one, numbers are finite, shapes fit."""
    with pytest.raises(PlanError, match=text):
        read_plan(changed(path, lambda parts: None, **{array: value}))


@given(st.data())
def test_a_damaged_file_is_refused_or_read(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Whatever bytes are changed or missing, there is a plan or a clear refusal, never another error."""
    path = tmp_path_factory.mktemp("plans") / "plan.safetensors"
    write_plan(path, known())
    content = bytearray(path.read_bytes())
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=4)):
        content[place] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    with suppress(PlanError):
        assert isinstance(read_plan(path).plan, Plan)


def test_a_wrong_logdet_is_found(tmp_path: Path) -> None:
    """A plan whose linear step tells another logdet than its matrix has fails the check by differences."""
    step: Any = steps()["linear"]
    write_plan(tmp_path / "plan", plan(replace(step, logdet=step.logdet + 0.1)))
    failed = [check.name for check in load_checked_plan(tmp_path / "plan")[0].checks if not check.passed]
    assert failed == ["logdet by differences"]


def test_a_wrong_inverse_is_found(tmp_path: Path) -> None:
    """A plan whose linear step has another inverse than its matrix fails the round trip."""
    step: Any = steps()["linear"]
    write_plan(
        tmp_path / "plan", plan(replace(step, inverse=step.inverse * 1.1), Affine(np.ones(SIZE), np.zeros(SIZE)))
    )
    failed = [check.name for check in load_checked_plan(tmp_path / "plan")[0].checks if not check.passed]
    assert failed == ["round trip"]
