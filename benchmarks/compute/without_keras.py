"""``python -m benchmarks.compute.without_keras WAY SECONDS FLOW …`` times the plan or the floor, TensorFlow far away."""

import numpy as np

from benchmarks.compute.timing import Flow, Way, main
from benchmarks.flows.floor import Floor
from benchmarks.flows.specs import FlowSpec
from gyoza.inference import load_plan

__all__ = ["WAYS", "floor", "plan"]


def floor(spec: FlowSpec) -> Flow:
    """Return the flow by hand."""
    with np.load(spec.weights_file) as weights:
        return Floor(dict(weights), spec.bound)


def plan(spec: FlowSpec) -> Flow:
    """Return the compiled flow, as it was saved."""
    return load_plan(spec.plan_file)


WAYS: dict[str, Way] = {"floor": floor, "plan": plan}

if __name__ == "__main__":
    main(WAYS)
