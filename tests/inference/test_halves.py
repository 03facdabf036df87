"""Halves without Keras: they run, are written and read again, and what is no half is refused."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from gyoza.inference import (
    CompiledHalf,
    HalfPlan,
    PlanError,
    Proof,
    load_checked_half,
    read_half,
    read_plan,
    write_half,
)
from gyoza.inference import halves as module
from gyoza.inference.checks import Check
from gyoza.inference.files.reading import read_safetensors
from gyoza.inference.halves import check_finite, check_half, probe_rows
from gyoza.inference.plan import Dense, DenseNetwork, Floats, OpaqueNetwork, Origin

KERNELS = np.random.RandomState(0).normal(size=(6, 5)), np.random.RandomState(1).normal(size=(5, 4))
NETWORK = DenseNetwork((Dense(KERNELS[0], np.full(5, 0.1), "tanh"), Dense(KERNELS[1], np.arange(4.0))))
PLAN = HalfPlan(NETWORK, (2, 3), (4,), np.dtype("float32"), Origin(None, 2, 59, {"gyoza": "0"}))
ROWS = np.random.RandomState(2).normal(size=(7, 2, 3))


def expected(rows: Floats) -> Floats:
    """What the dense layers make of rows, written out."""
    result: Floats = np.tanh(rows.reshape(len(rows), 6) @ KERNELS[0] + 0.1) @ KERNELS[1] + np.arange(4.0)
    return result


def opaque(function: Any, size: int = 6) -> CompiledHalf:
    """A half of which only the function is known."""
    return CompiledHalf(HalfPlan(OpaqueNetwork(function), (size,), (size,), np.dtype("float32")))


def test_a_half_maps_rows() -> None:
    """Rows of any shape go through the dense layers, in the half's dtype, and come back in the outputs' shape."""
    half = CompiledHalf(PLAN)
    assert (half.input_shape, half.output_shape, half.dtype.name, half.traces) == ((2, 3), (4,), "float32", 0)
    found = half(ROWS)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected(ROWS), rtol=1e-5, atol=1e-5)
    assert half(ROWS[:0]).shape == (0, 4)
    image = half.reshaped((2, 2, 1))
    np.testing.assert_array_equal(image(ROWS), found.reshape(7, 2, 2, 1))


@pytest.mark.parametrize("rows", [np.zeros((7, 6)), np.zeros((2, 3)), np.zeros((7, 3, 2))])
def test_other_shapes_are_refused(rows: Floats) -> None:
    """Inputs must have the half's shape."""
    with pytest.raises(ValueError, match=r"must have the shape \[n, 2, 3\]"):
        CompiledHalf(PLAN)(rows)


def test_outputs_keep_their_numbers() -> None:
    """Another shape of the outputs must hold as many numbers."""
    with pytest.raises(ValueError, match=r"as many numbers as the outputs, \[4\]\. Received: \[5\]"):
        CompiledHalf(PLAN).reshaped((5,))


def test_what_is_opaque_runs_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network of which only the function is known gets no more numbers at once than are set."""
    sizes: list[int] = []

    def function(rows: Floats) -> Floats:
        sizes.append(len(rows))
        return rows * 2

    monkeypatch.setattr(module, "LARGEST_PASS", 20)
    rows = np.arange(42, dtype=np.float32).reshape(7, 6)
    np.testing.assert_array_equal(opaque(function)(rows), rows * 2)
    assert sizes == [3, 3, 1]
    np.testing.assert_array_equal(opaque(function)(rows[:2]), rows[:2] * 2)
    assert opaque(function)(rows[:0]).shape == (0, 6)


def test_checks_tell_of_errors() -> None:
    """A half that differs from its reference fails, and so does one that gives what is not finite."""
    half = CompiledHalf(PLAN)
    rows = probe_rows(half, 16)
    assert rows.shape == (16, 2, 3)
    assert check_half(half, expected, rows).passed
    assert not check_half(half, lambda x: expected(x) + 0.1, rows).passed
    assert check_finite(half, rows).passed
    assert check_finite(opaque(lambda x: np.where(x > 1, np.inf, x)), probe_rows(opaque(lambda x: x), 16)).error > 0


def test_a_half_is_written_and_read(tmp_path: Path) -> None:
    """What is read is what was written, with its proof, and is checked again."""
    path = tmp_path / "decoder.plan.safetensors"
    proof = Proof((Check("compiled as layers", 1e-7, 1e-4),), "ab" * 32)
    write_half(path, PLAN, proof)
    file = read_half(path)
    assert (file.proof, file.plan.origin) == (proof, PLAN.origin)
    loaded, found = load_checked_half(str(path))
    assert found == proof
    assert [check.name for check in loaded.checks] == [
        "compiled as layers",
        "compiled as its steps",
        "finite on probe rows",
    ]
    assert all(check.passed for check in loaded.checks)
    assert loaded.digest == file.digest is not None
    assert (loaded.layers, loaded.parameters, loaded.libraries) == (2, 59, {"gyoza": "0"})
    np.testing.assert_array_equal(loaded.half(ROWS), CompiledHalf(PLAN)(ROWS))


def test_what_is_not_known_is_told_as_such(tmp_path: Path) -> None:
    """A half without an origin and a proof is read too."""
    write_half(tmp_path / "half", replace(PLAN, origin=None))
    loaded, proof = load_checked_half(tmp_path / "half")
    assert (loaded.layers, loaded.parameters, loaded.libraries, proof) == (None, None, {}, Proof())


def test_what_calls_code_is_not_written(tmp_path: Path) -> None:
    """A half that is no chain of dense layers can't be in a file, and nothing is written."""
    with pytest.raises(ValueError, match="that calls a network"):
        write_half(tmp_path / "half", opaque(lambda rows: rows).plan)
    with pytest.raises(ValueError, match="must be one that can be read again: the network must give 3 numbers"):
        write_half(tmp_path / "half", replace(PLAN, output_shape=(3,)))
    assert not list(tmp_path.iterdir())


def tampered(path: Path, **changes: Any) -> None:
    """Write a half with other parts than it has."""
    write_half(path, PLAN)
    metadata, arrays = read_safetensors(path.read_bytes())
    parts = {**json.loads(metadata["plan"]), **changes}
    save_file(arrays, path, {**metadata, "plan": json.dumps(parts)})


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"input_shape": [7]}, "kernel must be an array"),
        ({"input_shape": []}, "shapes must hold"),
        ({"output_shape": [2**40]}, "at most 262,144 entries"),
        ({"output_shape": [5]}, "the network must give 5 numbers"),
        ({"dtype": "float16"}, "its dtype must be one of"),
        ({"network": {"type": "DenseNetwork", "layers": []}}, "one dense layer or more"),
        ({"network": {"type": "Gather", "indices": [1]}}, "one dense layer or more"),
        ({"network": {"type": "Lambda"}}, "which is not there"),
        (
            {"origin": {"type": "Origin", "factors": None, "layers": -1, "parameters": 1, "libraries": {"pairs": []}}},
            "layers",
        ),
        ({"file_digest": "no"}, "SHA-256"),
        ({"steps": []}, "its parts must be"),
    ],
)
def test_a_tampered_half_is_refused(tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    """A file that anybody may have written is checked in all its parts."""
    tampered(tmp_path / "half", **changes)
    with pytest.raises(PlanError, match=reason):
        read_half(tmp_path / "half")


def test_other_files_are_refused(tmp_path: Path) -> None:
    """What is no half is told from one: nothing, a flow's plan, a newer format."""
    path = tmp_path / "half"
    path.write_bytes(b"PK")
    with pytest.raises(PlanError, match=r"half must hold a half that can be run: its header|no safetensors"):
        read_half(path)
    write_half(path, PLAN)
    with pytest.raises(PlanError, match="must name the format 'gyoza plan'"):
        read_plan(path)
    save_file(load_file(path), path, {"format": "gyoza half 2", "plan": "{}"})
    with pytest.raises(PlanError, match=r"reads formats up to 1\. Received: format 2"):
        read_half(path)
    save_file(load_file(path), path, {"format": "gyoza plan 1", "plan": "{}"})
    with pytest.raises(PlanError, match=r"must name the format 'gyoza half'.*compile_half"):
        read_half(path)


def test_code_is_told_from_arrays() -> None:
    """What calls code holds more than arrays, and is freed in another way."""
    assert opaque(lambda rows: rows).calls_code
    assert not CompiledHalf(PLAN).calls_code
