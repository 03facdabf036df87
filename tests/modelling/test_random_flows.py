"""Random flows of many layers: what a plan makes of them, fused, is what the layers do one by one."""

from collections.abc import Iterator
from itertools import combinations
from math import prod

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gyoza.inference import compile_flow
from gyoza.modelling.flow_layers import FlowModel
from gyoza.modelling.reference import LayeredFlow
from tests.modelling.layers import KINDS, Kind, Layout, Place, error, randomize

LAYOUTS = (Layout((6,), (1,)), Layout((8,), (1,)), Layout((2, 3, 2), (1, 3)), Layout((2, 2, 3), (3,)))
KEEPING = [name for name, kind in KINDS.items() if kind.anywhere and name not in {"reshape", "flatten", "squeeze"}]
"""The layers that give what they get its shape."""
SHAPING = ["reshape", "flatten", "squeeze"]
"""Those that give it another one."""
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
@settings(max_examples=12 if ON_TENSORFLOW else 2)
def test_a_plan_is_its_model(dtype: str, layout: Layout, names: list[str], seed: int) -> None:
    """Codes, logdets and latents of any flow agree to rounding, whichever of its layers were fused."""
    model = random_flow(layout, names, dtype, seed)
    agrees(model, layout.shape, dtype, seed)


def agrees(model: FlowModel, shape: tuple[int, ...], dtype: str, seed: int) -> None:
    """Compare a model's plan with its layers."""
    compiled, layered = compile_flow(model), LayeredFlow(model)
    x = np.random.default_rng(seed).standard_normal((3, *shape)).astype(dtype)
    codes, logdet = layered.encode(x)
    assert error(compiled.encode(x)[0], codes) <= TOLERANCES[dtype]
    assert error(compiled.encode(x)[1], logdet) <= TOLERANCES[dtype]
    assert error(compiled.invert(codes), layered.invert(codes)) <= 10 * TOLERANCES[dtype]


def layouts(kind: Kind, shape: tuple[int, ...]) -> Iterator[Layout]:
    """All places in latents of a shape where a layer of a kind may act."""
    last = len(shape) - kind.channels
    for count in range(1, last + 1):
        for axes in combinations(range(1, last + 1), count):
            layout = Layout(shape, axes)
            apart = kind.adjacent and axes[-1] - axes[0] != count - 1
            if not apart and prod(layout.sizes) > 1 and not any(size % kind.multiple for size in layout.sizes):
                yield layout


def shaping_flow(shape: tuple[int, ...], picks: list[tuple[str, int]], dtype: str, seed: int) -> FlowModel:
    """Build a flow of layers each of which acts on what those before make of the shape."""
    keras.utils.set_random_seed(seed)
    layers, now = [], shape
    for name, number in picks:
        found = list(layouts(KINDS[name], now))
        if found and not (name == "reshape" and len(now) == 4):  # No convolution takes more axes.
            layers.append(KINDS[name].make(Place(found[number % len(found)], dtype)))
            now = tuple(layers[-1].compute_output_shape((None, *now))[0][1:])
    model = FlowModel(layers, dtype=dtype)
    model.build((None, *shape))
    randomize(model, seed, spread=0.5)
    return model


@pytest.mark.parametrize("dtype", list(TOLERANCES) if ON_TENSORFLOW else ["float32"])
@given(
    shape=st.sampled_from([(12,), (4, 3), (2, 3, 2), (4, 2, 1)]),
    first=st.sampled_from(SHAPING),
    names=st.lists(st.sampled_from([*KEEPING, *SHAPING, *SHAPING]), min_size=2, max_size=6),
    numbers=st.lists(st.integers(0, 9), min_size=7, max_size=7),
    seed=st.integers(0, 99),
)
@settings(max_examples=12 if ON_TENSORFLOW else 2)
def test_a_plan_is_its_model_where_shapes_change(  # noqa: PLR0917 - as hypothesis gives them.
    dtype: str, shape: tuple[int, ...], first: str, names: list[str], numbers: list[int], seed: int
) -> None:
    """The same for flows that reshape, flatten and squeeze what lies between their layers."""
    names.insert(numbers[0] % (len(names) + 1), first)
    model = shaping_flow(shape, list(zip(names, numbers, strict=False)), dtype, seed)
    agrees(model, shape, dtype, seed)
