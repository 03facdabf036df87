"""The round-trip error is what a flow does not give back."""

from dataclasses import replace

import numpy as np
import pytest

from gyoza.inference import CompiledFlow
from gyoza.inference.plan import Opaque
from gyoza.metrics import round_trip_error
from tests.inference.flows import SIZE, plan

LATENTS = np.random.default_rng(0).normal(size=(4, SIZE))


def one_way(lost: np.ndarray) -> CompiledFlow:
    """A flow that loses this [n, 6] on the way back."""
    return CompiledFlow(plan(Opaque(lambda rows: (rows, np.zeros(len(rows))), lambda rows: rows - lost)))


def test_a_flow_gives_back_what_it_was_given() -> None:
    """Every kind of step there and back is exact to rounding, in double and in single precision."""
    flow = CompiledFlow(plan())
    assert round_trip_error(flow, LATENTS).shape == (4,)
    assert round_trip_error(flow, LATENTS).max() < 1e-8
    single = CompiledFlow(replace(flow.plan, dtype=np.dtype(np.float32)))
    assert 1e-9 < round_trip_error(single, LATENTS).max() < 0.1


def test_the_largest_error_of_each_row_counts() -> None:
    """Entries are compared one by one, in absolute terms."""
    lost = np.zeros((4, SIZE))
    lost[1, 2], lost[2, :2] = -0.5, [0.25, -0.125]
    np.testing.assert_allclose(round_trip_error(one_way(lost), LATENTS), [0, 0.5, 0.25, 0], atol=1e-12)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_row_that_is_lost_has_an_infinite_error(bad: float) -> None:
    """What is no number is as wrong as can be; the other rows do not suffer."""
    lost = np.zeros((4, SIZE))
    lost[3, 0] = bad
    np.testing.assert_array_equal(round_trip_error(one_way(lost), LATENTS), [0, 0, 0, np.inf])


def test_latents_must_be_finite() -> None:
    """An error in the question is no error of the flow."""
    with pytest.raises(ValueError, match=r"latents must hold finite numbers only"):
        round_trip_error(one_way(np.zeros(SIZE)), np.full((2, SIZE), np.nan))
