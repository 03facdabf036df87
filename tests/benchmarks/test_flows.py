"""The flows by hand are the flows of the layers, and what is written of them can be read."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.compute.timing import check, time_flow
from benchmarks.flows.floor import Floor
from benchmarks.flows.specs import LAWS, ROWS, Floats, FlowSpec, answers, largest, latents_of
from gyoza.inference import load_plan


def written(law: str, folder: Path) -> FlowSpec:
    """A flow of two blocks, with all its files."""
    from benchmarks.flows.building import make

    spec = FlowSpec(f"micro-{law}", law, dimensions=6, hidden=5, blocks=2, work=folder)
    make(spec)
    return spec


def floor_of(spec: FlowSpec) -> Floor:
    """The same by hand."""
    with np.load(spec.weights_file) as weights:
        return Floor(dict(weights), spec.bound)


@pytest.mark.parametrize("law", LAWS)
def test_the_floor_is_the_flow(law: str, tmp_path: Path) -> None:
    """Codes, logdet and inverse by hand are those of the layers at every size of a batch, as the plan's are; files load."""
    from gyoza.loading import load_flow

    spec = written(law, tmp_path)
    timings = list(time_flow("floor", floor_of(spec), spec, seconds=0))
    assert [(timing.direction, timing.rows) for timing in timings] == [
        (direction, rows) for rows in ROWS for direction in ("encode", "invert")
    ]
    assert list(time_flow("plan", load_plan(spec.plan_file), spec, seconds=0))
    assert all(found.passed for found in load_flow(spec.keras_file).checks)


def test_another_flow_is_found_out(tmp_path: Path) -> None:
    """A way of computing that gives other numbers is not timed."""
    spec = written("additive", tmp_path)
    floor, expected = floor_of(spec), answers(spec)
    check(floor, expected, "the floor")
    with pytest.raises(ArithmeticError, match="the floor must answer as the layers do"):
        check(floor, {**expected, "logdet": expected["logdet"] + 1}, "the floor")


def test_the_same_latents_come_each_time() -> None:
    """Every process measures the same rows, and fewer rows are the first of them."""
    spec = FlowSpec("any", "additive", dimensions=4, hidden=8)
    np.testing.assert_array_equal(latents_of(spec, 3), latents_of(spec)[:3])


@pytest.mark.parametrize(
    ("found", "error"), [([[1.0, 2.0]], 0.0), ([[1.0, 2.3]], 0.1), ([[1.0, np.nan]], np.inf), ([[1.0]], np.inf)]
)
def test_an_error_is_relative_to_its_row(found: list[list[float]], error: float) -> None:
    """It is in units of 1 + max|row|, and infinite where nothing can be compared."""
    array: Floats = np.array(found)
    assert largest(array, np.array([[1.0, 2.0]])) == pytest.approx(error)
