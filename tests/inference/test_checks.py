"""Checks find what is wrong, and pass what is right."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gyoza.inference import CompiledFlow
from gyoza.inference.checks import (
    Check,
    Golden,
    GoldenError,
    check_agreement,
    check_golden,
    check_logdet,
    check_round_trip,
    failures,
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


@pytest.mark.parametrize(
    ("part", "name"),
    [
        ({"latents": LATENTS[:, :2]}, "latents"),
        ({"latents": np.float64(0)}, "latents"),
        ({"codes": np.zeros((4, 2))}, "codes"),
        ({"codes": np.zeros((3, SIZE))}, "codes"),
        ({"logdet": np.zeros((4, 1))}, "logdet"),
        ({"latents": LATENTS[:0], "codes": LATENTS[:0], "logdet": np.zeros(0)}, "latents"),
    ],
)
def test_golden_rows_that_do_not_fit_are_refused(part: dict[str, Any], name: str) -> None:
    """Arrays of other shapes, and none at all, prove nothing: the error says what must come and what came."""
    codes, logdet = FLOW.encode(LATENTS)
    golden = Golden(**{"latents": LATENTS, "codes": codes, "logdet": logdet, **part})
    with pytest.raises(GoldenError, match=rf"one or more, their {name} of the shape .* Received: {name}\.shape="):
        check_golden(FLOW, golden)


def test_failures_are_told_with_their_figures() -> None:
    """What passed is left out."""
    checks = Check("round trip", 0.5, 1e-3), Check("golden vectors", 0.0, 1e-4), Check("logdet", np.inf, 1e-2)
    assert failures(checks) == "round trip: error 0.5, limit 0.001; logdet: error inf, limit 0.01"
    assert failures(checks[1:2]) == ""


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_an_error_that_is_not_finite_fails(bad: float) -> None:
    """NaN never compares as small."""
    assert row_error(np.array([[bad]]), np.array([[1.0]])) == np.inf
    assert row_error(np.array([[1.0]]), np.array([[bad]])) == np.inf
    # Some bit patterns of float32 are NaNs that NumPy warns of when they are cast.
    signalling = np.array([[0x7FA00000]], np.uint32).view(np.float32)
    ones = np.ones((1, 1), np.float32)
    assert row_error(signalling, ones) == row_error(ones, signalling) == np.inf
    assert not Check("any", float("nan"), 1.0).passed


def test_arrays_of_other_shapes_never_agree() -> None:
    """What can't be compared is infinitely wrong."""
    assert row_error(np.zeros((1, 2)), np.zeros((1, 3))) == np.inf


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
