"""Fusion: from the steps that layers lower to, the fewer and cheaper ones that an executor runs. Exact but for rounding."""

from dataclasses import replace

from gyoza.inference.fusion.absorption import absorb
from gyoza.inference.fusion.biases import fold
from gyoza.inference.fusion.condensation import condense
from gyoza.inference.fusion.layout import arrange
from gyoza.inference.plan import Plan

__all__ = ["fuse"]


def fuse(plan: Plan) -> Plan:
    """Return a plan of fewer steps that computes the same.

    Shifts and scales move towards the latents, through couplings, into the linear step before them; runs of linear steps
    become one matrix where that is cheaper; permutations become the order in which columns lie, so that couplings find
    theirs side by side; biases of relu layers move into the layer behind. All is computed in double precision, the inverse
    of a run from the inverses of its steps.

    Args:
        plan: The steps as layers lower to them.

    Returns:
        The fused plan.
    """
    return replace(plan, steps=fold(arrange(condense(absorb(plan.steps), plan.size), plan.size)))
