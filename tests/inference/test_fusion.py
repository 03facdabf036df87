"""Fused plans compute what their steps compute, in fewer of them."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import TypeAlias

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gyoza.inference.checks import row_error
from gyoza.inference.executors import NumpyExecutor
from gyoza.inference.fusion import fuse
from gyoza.inference.fusion.biases import LARGEST_FOLDED, folded
from gyoza.inference.fusion.condensation import LARGEST_JOINED
from gyoza.inference.laws import run_network
from gyoza.inference.plan import (
    Additive,
    Affine,
    BoundedAffine,
    Coupling,
    Dense,
    DenseNetwork,
    Floats,
    Floor,
    Gather,
    Law,
    Linear,
    Opaque,
    OpaqueNetwork,
    Plan,
    Rotation,
    Spline,
    Step,
)

TOLERANCES = {"float32": 1e-5, "float64": 1e-11}
ROWS = 5


def dense(random: np.random.RandomState, inputs: int, outputs: int, hidden: int) -> DenseNetwork:
    """A network of 1 to 3 layers; at times a layer has biases far above 1."""
    sizes = [inputs, *[5] * hidden, outputs]
    layers = [
        Dense(
            random.normal(size=pair) / np.sqrt(max(pair[0], 1)),
            random.normal(size=pair[1]) * random.choice([0.25, 40.0], p=[0.9, 0.1]),
            random.choice(["tanh", "relu"]),
        )
        for pair in pairwise(sizes)
    ]
    layers[-1] = Dense(layers[-1].kernel, layers[-1].bias, random.choice(["linear", "linear", "tanh"]))
    return DenseNetwork(tuple(layers))


def coupling(random: np.random.RandomState, size: int) -> Step:
    """Any mask, any law, a dense network or an opaque one."""
    keeps = random.permutation(size) < random.randint(size + 1)
    kept, changed = np.flatnonzero(keeps), np.flatnonzero(~keeps)
    laws: list[Law] = [Additive(), BoundedAffine(1.5), Spline(4, 1.5, 0.01, 0.01)]
    law = laws[random.randint(3)]
    kinds = {Additive: 1, BoundedAffine: 2, Spline: 11}[type(law)]
    network = dense(random, len(kept), kinds * len(changed), random.randint(3))
    if random.randint(4):
        return Coupling(kept, changed, network, law)
    weights = random.normal(size=(len(kept), kinds * len(changed)))
    return Coupling(kept, changed, OpaqueNetwork(lambda rows: np.sin(rows @ weights.astype(rows.dtype))), law)


def block(random: np.random.RandomState, size: int) -> int:
    """A divisor of the size."""
    return int(random.choice([m for m in range(1, size + 1) if size % m == 0]))


def rotation(random: np.random.RandomState, size: int) -> Step:
    """Of a few columns or of all."""
    m = block(random, size)
    return Rotation(np.linalg.qr(random.normal(size=(m, m)))[0])


def linear(random: np.random.RandomState, size: int) -> Step:
    """Of a few columns or of all, shifted or not."""
    m = block(random, size)
    matrix = np.linalg.qr(random.normal(size=(m, m)))[0] * np.exp(random.normal(size=m) / 4)
    inverse = np.linalg.inv(matrix)
    logdet = size // m * float(np.linalg.slogdet(matrix)[1])
    shift = random.normal(size=m)
    return Linear(matrix, inverse, logdet, *((shift, -shift @ inverse) if random.randint(2) else ()))


def affine(random: np.random.RandomState, size: int) -> Step:
    """Mostly of ordinary columns, at times with a column far from 0 beside its size."""
    scale = np.exp(random.normal(size=size) / 2) * random.choice([-1, 1], size)
    location = random.normal(size=size)
    if not random.randint(4):
        scale[0], location[0] = 1e4, 2e-3
    return Affine(scale, location)


def opaque(random: np.random.RandomState, size: int) -> Step:
    """A layer that is known by its functions only, which give arrays that can't be written to."""
    factors = np.exp(random.normal(size=size) / 4)

    def encode(rows: Floats) -> tuple[Floats, Floats]:
        scale = factors.astype(rows.dtype)
        return locked(rows * scale), np.full(len(rows), np.log(scale).sum())

    return Opaque(encode, lambda rows: locked(rows / factors.astype(rows.dtype)))


def locked(rows: Floats) -> Floats:
    """Rows that can't be written to."""
    rows.setflags(write=False)
    return rows


def gather(random: np.random.RandomState, size: int) -> Step:
    """Any permutation."""
    return Gather(random.permutation(size))


Kind: TypeAlias = Callable[[np.random.RandomState, int], Step]
KINDS: tuple[Kind, ...] = (
    gather,
    affine,
    rotation,
    linear,
    coupling,
    coupling,
    opaque,
)


@given(
    size=st.integers(1, 12),
    kinds=st.lists(st.sampled_from(KINDS), max_size=12),
    seed=st.integers(0, 2**32 - 1),
    dtype=st.sampled_from(sorted(TOLERANCES)),
)
def test_a_fused_plan_computes_what_its_steps_compute(size: int, kinds: list[Kind], seed: int, dtype: str) -> None:
    """Codes, logdets and latents of any flow are the same to rounding, and no row, batch or input is touched."""
    random = np.random.RandomState(seed)
    plan = Plan(tuple(kind(random, size) for kind in kinds), (size,), (size,), np.dtype(dtype))
    exact, steps, fused = (
        NumpyExecutor(replace(plan, dtype=np.dtype("float64"))),
        NumpyExecutor(plan),
        NumpyExecutor(fuse(plan)),
    )
    rows = random.normal(size=(ROWS, size)).astype(dtype)
    expected = exact.encode(rows.astype(np.float64))
    found, unfused = fused.encode(rows), steps.encode(rows)
    assert found[0].dtype == found[1].dtype == dtype
    codes = expected[0].astype(dtype)
    latents = exact.invert(codes.astype(np.float64))
    stretches = stretch(lambda x: exact.encode(x)[0], rows), stretch(lambda x: exact.encode(x)[1][:, None], rows)
    pairs = [
        (found[0], unfused[0], expected[0], rounded(rows) * stretches[0]),
        (found[1], unfused[1], expected[1], rounded(rows) * stretches[1]),
        (fused.invert(codes), steps.invert(codes), latents, rounded(codes) * stretch(exact.invert, codes)),
    ]
    for fused_result, unfused_result, right, inherited in pairs:
        allowed = max(TOLERANCES[dtype], 10 * inherited, 10 * row_error(unfused_result, right))
        assert row_error(fused_result, right) <= allowed


def rounded(rows: Floats) -> float:
    """Return by how much rows are rounded in their dtype, at most."""
    return float(np.finfo(rows.dtype).eps * (1 + np.abs(rows).max()))


def stretch(function: Callable[[Floats], Floats], rows: Floats) -> float:
    """Return by how much a function enlarges small differences of rows, at least 1."""
    step, rows = 1e-7, rows.astype(np.float64)
    end = function(rows)
    moved = [function(rows + step * np.eye(rows.shape[1])[column]) for column in range(rows.shape[1])]
    return max([1.0, *(float(np.abs(other - end).sum(axis=1).max()) / step for other in moved)])


def additive(random: np.random.RandomState, size: int, *, first: bool) -> Coupling:
    """A coupling of one half by the other."""
    halves = np.arange(size // 2), np.arange(size // 2, size)
    changed, kept = halves if first else halves[::-1]
    return Coupling(kept, changed, dense(random, len(kept), len(changed), 0), Additive())


def linear_coupling(random: np.random.RandomState, size: int) -> Coupling:
    """The same with a network that takes a shift and a scale."""
    step = additive(random, size, first=True)
    network = DenseNetwork((Dense(random.normal(size=(size // 2, size // 2)), np.zeros(size // 2)),))
    return Coupling(step.kept, step.changed, network, step.law)


def names(plan: Plan) -> list[str]:
    """The kinds of a plan's steps."""
    return [type(step).__name__ for step in plan.steps]


def test_blocks_of_norm_rotation_and_couplings_become_three_steps_each() -> None:
    """Scales go into the matrix before, permutations into the order of columns; one gather is left at the end."""
    random, size = np.random.RandomState(0), 8
    swap = Gather(np.roll(np.arange(size), size // 2))
    steps: list[Step] = []
    for _ in range(3):
        scale = np.exp(random.normal(size=size) / 4)
        half = linear_coupling(random, size)
        steps += [Affine(scale, random.normal(size=size)), Rotation(np.eye(size)), half, swap, half]
    assert names(fuse(Plan(tuple(steps), (size,), (size,), np.dtype("float32")))) == [
        *["Linear", "Coupling", "Coupling"] * 3,
        "Gather",
    ]


def test_scales_without_a_matrix_meet_at_the_latents() -> None:
    """The scales of a flow of norms and couplings are one step, and its logdet one number."""
    random, size = np.random.RandomState(0), 6
    pairs = [(linear_coupling(random, size), Affine(np.full(size, 2.0), np.full(size, 0.1))) for _ in range(4)]
    fused = fuse(Plan(tuple(step for pair in pairs for step in pair), (size,), (size,), np.dtype("float64")))
    assert names(fused) == ["Affine", *["Coupling"] * 4]
    np.testing.assert_allclose(NumpyExecutor(fused).encode(np.ones((1, size)))[1], 4 * size * np.log(2))


def test_scales_whose_product_is_extreme_stay_apart() -> None:
    """Two steps that could each be moved are not joined where the numbers in between would leave their range."""
    size = 4
    scales = tuple(Affine(np.full(size, scale), np.zeros(size)) for scale in (900.0, 500.0))
    assert names(fuse(Plan(scales, (size,), (size,), np.dtype("float32")))) == ["Affine", "Affine"]


def test_a_location_far_above_the_columns_passes_no_coupling() -> None:
    """Columns near 1 that a later step takes 5,000 off keep their digits for the coupling before it."""
    random, size = np.random.RandomState(0), 4
    step = linear_coupling(random, size)
    far = Affine(np.full(size, 1.5e-3), np.full(size, 5000.0))
    plan = Plan((step, far), (size,), (size,), np.dtype("float32"))
    assert names(fuse(plan)) == ["Coupling", "Affine"]
    rows = random.normal(size=(3, size)).astype(np.float32)
    exact = NumpyExecutor(replace(plan, dtype=np.dtype("float64")))
    codes = NumpyExecutor(fuse(plan)).encode(rows)[0]
    assert row_error(codes, exact.encode(rows.astype(np.float64))[0]) < 1e-6


def test_a_matrix_gives_what_comes_next_its_own_order() -> None:
    """Between a matrix and a layer that is only called, or a matrix over a few columns, a permutation costs nothing."""
    random, size = np.random.RandomState(0), 8
    turn = Rotation(np.linalg.qr(random.normal(size=(size, size)))[0])
    mix, called = Gather(random.permutation(size)), opaque(random, size)
    far = Affine(np.full(size, 1e6), np.full(size, 5.0))
    fused = fuse(Plan((turn, mix, far, called), (size,), (size,), np.dtype("float64")))
    assert names(fused) == ["Linear", "Affine", "Opaque"]


def test_a_location_that_must_come_off_first_stays_where_it_is() -> None:
    """Columns far from 0 beside their size are not merged into a matrix, where digits would cancel."""
    size = 4
    steps = (
        Affine(np.full(size, 1e6), np.full(size, 5.0)),
        Rotation(np.linalg.qr(np.ones((size, size)) + np.eye(size))[0]),
    )
    fused = fuse(Plan(steps, (size,), (size,), np.dtype("float32")))
    assert names(fused) == ["Affine", "Linear"]
    rows = (5 + np.random.RandomState(0).normal(size=(3, size)) / 1e6).astype(np.float32)
    expected = NumpyExecutor(Plan(steps, (size,), (size,), np.dtype("float64"))).encode(rows.astype(np.float64))[0]
    assert row_error(NumpyExecutor(fused).encode(rows)[0], expected) < 1e-6


@pytest.mark.parametrize(("size", "expected"), [(8, ["Linear"]), (1024, ["Linear", "Gather", "Linear", "Gather"])])
def test_small_blocks_stay_blocks_in_large_latents(size: int, expected: list[str]) -> None:
    """A matrix over two channels is not blown up to one over a whole image, but to one over a few columns it is."""
    turn = np.array([[0.6, 0.8], [-0.8, 0.6]])
    order = np.random.RandomState(0).permutation(size)
    steps = (Rotation(turn), Gather(order), Rotation(turn), Gather(np.argsort(order)))
    assert names(fuse(Plan(steps, (size,), (size,), np.dtype("float64")))) == expected


def test_no_matrix_is_larger_than_the_limit() -> None:
    """Latents of very many entries are not multiplied by one matrix, however many steps that would save."""
    size = 2 * LARGEST_JOINED
    steps = (Rotation(np.eye(LARGEST_JOINED)), Affine(np.full(size, 2.0), np.zeros(size))) * 2
    fused = fuse(Plan(steps, (size,), (size,), np.dtype("float64")))
    assert all(len(step.matrix) == LARGEST_JOINED for step in fused.steps if isinstance(step, Linear))


@pytest.mark.parametrize(
    ("bias", "expected"), [(0.5, [Floor, Floor, Dense]), (2 * LARGEST_FOLDED, [Dense, Dense, Dense])]
)
def test_biases_of_relu_move_on_unless_they_are_large(bias: float, expected: list[type]) -> None:
    """A hidden layer gives its bias to the next one, where no digit is lost by that."""
    sizes = [(2, 4), (4, 4), (4, 2)]
    layers = [Dense(np.eye(*pair), np.full(pair[1], bias), "relu") for pair in sizes]
    layers[-1] = replace(layers[-1], activation="linear")
    found = folded(DenseNetwork(tuple(layers)))
    assert [type(layer) for layer in found.layers] == expected


def test_a_fold_keeps_the_digits_of_small_results() -> None:
    """Units that are off cancel to what they gave before, 0, to the rounding of their biases."""
    random = np.random.RandomState(0)
    layers = (
        Dense(random.normal(size=(3, 64)) / 2, random.uniform(-1, 1, 64), "relu"),
        Dense(random.normal(size=(64, 3)) / 8, np.zeros(3)),
    )
    network, rows = DenseNetwork(layers), random.normal(size=(9, 3))
    np.testing.assert_allclose(run_network(folded(network), rows), run_network(network, rows), atol=1e-14)
