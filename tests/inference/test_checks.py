"""Checks find what is wrong, and pass what is right."""

from dataclasses import replace

import numpy as np
import pytest

from gyoza.inference import CompiledFlow
from gyoza.inference.checks import (
    Check,
    Golden,
    check_agreement,
    check_golden,
    check_logdet,
    check_round_trip,
    limits,
    probe_latents,
    row_error,
)
from gyoza.inference.plan import Affine, Opaque
from tests.inference.flows import SIZE, plan

FLOW = CompiledFlow(plan())
LATENTS = probe_latents(FLOW, 4)
SHIFTED = CompiledFlow(plan(*FLOW.plan.steps, Affine(np.ones(SIZE), np.full(SIZE, 1e-3))))
STRETCHED = CompiledFlow(plan(*FLOW.plan.steps, Affine(np.full(SIZE, 1.01), np.zeros(SIZE))))
ONE_WAY = CompiledFlow(
    plan(*FLOW.plan.steps, Opaque(lambda rows: (rows + 1e-3, np.zeros(len(rows))), lambda rows: rows))
)


def test_a_right_flow_passes_every_check() -> None:
    """A flow agrees with itself, with its own round trip and its own golden rows."""
    codes, logdet = FLOW.encode(LATENTS)
    checks = [
        check_round_trip(FLOW, LATENTS),
        check_agreement(FLOW, FLOW, LATENTS),
        check_logdet(FLOW, lambda latents: FLOW.encode(latents)[1], LATENTS),
        check_golden(FLOW, Golden(LATENTS, codes, logdet)),
    ]
    assert all(check.passed for check in checks), checks


def test_a_wrong_flow_fails_the_check_that_should_find_it() -> None:
    """Each check fails on the flow that breaks what it checks."""
    codes, logdet = FLOW.encode(LATENTS)
    assert not check_round_trip(ONE_WAY, LATENTS).passed
    assert not check_agreement(FLOW, SHIFTED, LATENTS).passed
    assert not check_logdet(FLOW, lambda latents: STRETCHED.encode(latents)[1], LATENTS).passed
    assert not check_golden(SHIFTED, Golden(LATENTS, codes, logdet)).passed
    assert not check_golden(FLOW, Golden(LATENTS, codes, logdet + 1)).passed


def test_golden_rows_of_another_shape_fail() -> None:
    """Arrays of different shapes never agree."""
    codes, logdet = FLOW.encode(LATENTS)
    assert check_golden(FLOW, Golden(LATENTS, codes[:, :2], logdet)).error == np.inf


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_an_error_that_is_not_finite_fails(bad: float) -> None:
    """NaN never compares as small."""
    assert row_error(np.array([[bad]]), np.array([[1.0]])) == np.inf
    assert row_error(np.array([[1.0]]), np.array([[bad]])) == np.inf
    assert not Check("any", float("nan"), 1.0).passed


def test_errors_are_relative_to_each_row() -> None:
    """A row's error is in units of 1 + its largest entry."""
    assert row_error(np.array([[99.0, 1.0], [0.0, 0.0]]), np.array([[99.0, 2.0], [0.0, 0.0]])) == pytest.approx(0.01)


def test_float32_has_wider_limits() -> None:
    """Each limit of float32 is wider than that of float64."""
    wide, narrow = limits(np.dtype(np.float32)), limits(np.dtype(np.float64))
    assert wide.round_trip > narrow.round_trip
    assert wide.agreement > narrow.agreement
    assert wide.logdet > narrow.logdet


def test_probe_rows_are_likely_ones() -> None:
    """The probes' codes are the frozen N(0, I) draws, of the flow's own dtype."""
    flow = CompiledFlow(replace(FLOW.plan, dtype=np.dtype(np.float32)))
    latents = probe_latents(flow, 3)
    assert latents.dtype == np.float32
    expected = np.random.RandomState(0).standard_normal((3, SIZE))
    np.testing.assert_allclose(flow.encode(latents)[0], expected, atol=1e-4)
