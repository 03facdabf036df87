"""Laws of the NumPy executor, over one step of every kind."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gyoza.inference import CompiledFlow
from gyoza.inference.executors import NumpyExecutor
from gyoza.inference.plan import Affine, Floats
from tests.inference.flows import SIZE, plan, steps

NAMES = sorted(steps())
ROWS: Floats = np.random.RandomState(2).normal(size=(5, SIZE))


def numeric_logdet(flow: CompiledFlow, rows: Floats) -> Floats:
    """Return log|det| of the Jacobian by central differences in float64."""
    step = 1e-6
    shifts = np.eye(SIZE) * step
    columns = [(flow.encode(rows + shift)[0] - flow.encode(rows - shift)[0]) / (2 * step) for shift in shifts]
    return np.asarray(np.linalg.slogdet(np.stack(columns, axis=-1))[1])


@pytest.mark.parametrize("name", NAMES)
def test_a_step_is_undone_by_its_inverse(name: str) -> None:
    """Invert undoes encode, and encode undoes invert, to rounding."""
    flow = CompiledFlow(plan(steps()[name]))
    np.testing.assert_allclose(flow.invert(flow.encode(ROWS)[0]), ROWS, atol=1e-12)
    np.testing.assert_allclose(flow.encode(flow.invert(ROWS))[0], ROWS, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_a_step_s_logdet_is_that_of_its_jacobian(name: str) -> None:
    """The logdet is log|det| of the derivative, taken here by differences."""
    flow = CompiledFlow(plan(steps()[name]))
    np.testing.assert_allclose(flow.encode(ROWS)[1], numeric_logdet(flow, ROWS), atol=1e-7)


def test_a_plan_runs_its_steps_in_order_and_back() -> None:
    """A whole plan is its steps one after the other, its logdet their sum."""
    flow = NumpyExecutor(plan())
    rows, logdet = ROWS, np.zeros(len(ROWS))
    for step in steps().values():
        rows, term = NumpyExecutor(plan(step)).encode(rows)
        logdet = logdet + term
    codes, found = flow.encode(ROWS)
    np.testing.assert_allclose(codes, rows, rtol=1e-12)
    np.testing.assert_allclose(found, logdet, rtol=1e-12)
    np.testing.assert_allclose(flow.invert(codes), ROWS, atol=1e-9)


def test_a_location_far_from_0_costs_no_digits() -> None:
    """Columns far from 0 and narrow, such as constant ones, keep float32's precision both ways."""
    scale, location = np.full(SIZE, 1e6), np.full(SIZE, 5.0)
    flow = CompiledFlow(plan(Affine(scale, location), dtype=np.float32))
    rows = (5 + ROWS).astype(np.float32)
    expected = (rows.astype(np.float64) - 5) * 1e6
    np.testing.assert_allclose(flow.encode(rows)[0], expected, rtol=1e-6)
    np.testing.assert_allclose(flow.invert(expected), rows, rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_answers_come_in_the_plan_s_dtype(dtype: type) -> None:
    """Whatever comes in, codes, logdets and latents are of the flow's dtype."""
    flow = CompiledFlow(plan(dtype=dtype))
    codes, logdet = flow.encode(ROWS.astype(np.float16))
    assert codes.dtype == logdet.dtype == flow.invert(codes.astype(np.float64)).dtype == dtype


def test_a_bad_row_leaves_the_others_alone() -> None:
    """A row of inf or NaN spoils itself only."""
    flow = CompiledFlow(plan())
    spoiled = np.concatenate([ROWS, np.full((1, SIZE), np.inf), np.full((1, SIZE), np.nan)])
    np.testing.assert_array_equal(flow.encode(spoiled)[0][: len(ROWS)], flow.encode(ROWS)[0])
    np.testing.assert_array_equal(flow.invert(spoiled)[: len(ROWS)], flow.invert(ROWS))


def test_what_came_in_is_never_written_to() -> None:
    """Callers may pass arrays that can't be written to, and keep them as they were."""
    rows = ROWS.copy()
    rows.setflags(write=False)
    flow = CompiledFlow(plan())
    flow.invert(flow.encode(rows)[0])
    np.testing.assert_array_equal(rows, ROWS)


def test_an_unknown_step_is_named() -> None:
    """A step or law that no executor knows is refused by its type's name when the plan is compiled."""
    step: Any = "gather"
    with pytest.raises(TypeError, match=r"gyoza.inference.plan. Received: str"):
        NumpyExecutor(plan(step))
    coupling: Any = steps()["additive coupling"]
    with pytest.raises(TypeError, match="Received: str"):
        NumpyExecutor(plan(replace(coupling, law="spline")))
