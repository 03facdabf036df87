"""What a flow's own steps prove of it."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gyoza.inference import CompiledFlow
from gyoza.inference.checks import probe_latents
from gyoza.inference.plan import Affine, Linear
from gyoza.inference.step_checks import check_logdet_of_steps, check_steps, difference_logdet
from tests.inference.flows import SIZE, plan, steps

KNOWN = {name: step for name, step in steps().items() if "opaque" not in name}


@pytest.mark.parametrize("name", KNOWN)
def test_a_logdet_by_differences_is_the_step_s(name: str) -> None:
    """Differences find the logdet of every kind of step, to the limit of double precision and far below it."""
    one = plan(KNOWN[name])
    flow = CompiledFlow(one)
    latents = probe_latents(flow, 16)
    np.testing.assert_allclose(difference_logdet(one, latents), flow.encode(latents)[1], atol=1e-8)


def test_an_opaque_step_has_no_logdet_by_differences() -> None:
    """How the columns of an opaque step depend on each other is not known, so none is made up."""
    with pytest.raises(ValueError, match=r"without opaque steps\. Received: one that calls a layer"):
        difference_logdet(plan(steps()["opaque"]), np.zeros((1, SIZE)))


@pytest.mark.parametrize("scale", [0.0, 1e300, 1e-320])
def test_numbers_without_room_warn_of_nothing(scale: float) -> None:
    """A plan made by hand may hold anything: what can't be computed is an error of the checks, not a warning."""
    one = plan(Affine(np.full(SIZE, scale), np.ones(SIZE)), Linear(np.zeros((2, 2)), np.zeros((2, 2)), 1e300))
    one = replace(one, dtype=np.dtype(np.float32))
    flow, latents = CompiledFlow(one), np.full((2, SIZE), 1e30)
    assert not check_steps(flow, one, latents).passed
    assert not check_logdet_of_steps(flow, one, latents).passed


def test_inputs_beyond_the_dtype_warn_of_nothing() -> None:
    """What overflows on the way into a flow is infinite, as what overflows within."""
    values: Any = [[1e39, *[0.0] * (SIZE - 1)]]
    assert CompiledFlow(plan(KNOWN["gather"], dtype=np.float32)).encode(values)[0].max() == np.inf
