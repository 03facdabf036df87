"""Random flows of many layers: what a plan makes of them, fused, is what the layers do one by one."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gyoza.inference import compile_flow
from gyoza.modelling.flow_layers import FlowModel
from gyoza.modelling.reference import LayeredFlow
from tests.modelling.layers import KINDS, Layout, Place, error, randomize

LAYOUTS = (Layout((6,), (1,)), Layout((8,), (1,)), Layout((2, 3, 2), (1, 3)), Layout((2, 2, 3), (3,)))
KEEPING = [name for name, kind in KINDS.items() if kind.anywhere and name not in {"reshape", "flatten", "squeeze"}]
"""The layers that give what they get its shape."""
TOLERANCES = {"float32": 1e-5, "float64": 1e-11}
ON_TENSORFLOW = keras.backend.backend() == "tensorflow"


def random_flow(layout: Layout, names: list[str], dtype: str, seed: int) -> FlowModel:
    """Build a flow of layers of the table, with random weights that keep it well-conditioned."""
    keras.utils.set_random_seed(seed)
    model = FlowModel([KINDS[name].make(Place(layout, dtype)) for name in names], dtype=dtype)
    model.build((None, *layout.shape))
    randomize(model, seed, spread=0.5)
    return model


@pytest.mark.parametrize("dtype", list(TOLERANCES) if ON_TENSORFLOW else ["float32"])
@given(
    layout=st.sampled_from(LAYOUTS),
    names=st.lists(st.sampled_from(KEEPING), min_size=2, max_size=7),
    seed=st.integers(0, 99),
)
@settings(max_examples=25 if ON_TENSORFLOW else 2, deadline=None)
def test_a_plan_is_its_model(dtype: str, layout: Layout, names: list[str], seed: int) -> None:
    """Codes, logdets and latents of any flow agree to rounding, whichever of its layers were fused."""
    model = random_flow(layout, names, dtype, seed)
    compiled, layered = compile_flow(model), LayeredFlow(model)
    x = np.random.default_rng(seed).standard_normal((3, *layout.shape)).astype(dtype)
    codes, logdet = layered.encode(x)
    assert error(compiled.encode(x)[0], codes) <= TOLERANCES[dtype]
    assert error(compiled.encode(x)[1], logdet) <= TOLERANCES[dtype]
    assert error(compiled.invert(codes), layered.invert(codes)) <= 10 * TOLERANCES[dtype]
