"""The table of layers over which the laws run: a name, how to make the layer, and where it acts."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from gyoza.modelling.flow_layers import (
    ActivationNormalization,
    AdditiveCoupling,
    AffineCoupling,
    CheckerBoardPermutation,
    Coupling,
    Flatten,
    FlowLayer,
    FlowModel,
    HeavisidePermutation,
    InvertibleLinear,
    Permutation,
    RationalQuadraticSplineCoupling,
    Reflection,
    Reshape,
    ShufflePermutation,
    Squeeze,
)
from gyoza.modelling.masks import CheckerBoardMask, HeavisideMask, Mask


@keras.saving.register_keras_serializable(package="tests")
class Softening(FlowLayer):
    """A layer as a reader of the base class would write it: y = arsinh(x)."""

    def call(self, inputs: Any) -> tuple[Any, Any]:
        """Map x to arsinh(x)."""
        return ops.arcsinh(inputs), self.compute_jacobian_determinant(inputs)

    def invert(self, outputs: Any) -> Any:
        """Map y to sinh(y)."""
        return ops.sinh(ops.convert_to_tensor(outputs))

    def compute_jacobian_determinant(self, x: Any) -> Any:
        """Return −½ Σ ln(1 + x²)."""
        return -0.5 * ops.sum(ops.log1p(x * x), axis=tuple(range(1, len(x.shape))))


@keras.saving.register_keras_serializable(package="tests")
class Doubling(Coupling):
    """A coupling as a reader of the base class would write it, with the law y = 2x + t."""

    def _couple_(self, inputs: Any, coupling_parameters: Any) -> Any:
        return 2 * inputs + coupling_parameters

    def _decouple_(self, outputs: Any, coupling_parameters: Any) -> Any:
        return (outputs - coupling_parameters) / 2

    def compute_jacobian_determinant(self, x: Any) -> Any:
        """Return ln 2 for each changed entry."""
        changed = self._mask_.call(ops.ones_like(x), is_positive=False)
        return float(np.log(2)) * ops.sum(changed, axis=tuple(range(1, len(x.shape))))


@keras.saving.register_keras_serializable(package="tests")
class Tripled(AffineCoupling):
    """A coupling that changes the law that it inherits."""

    def _couple_(self, inputs: Any, coupling_parameters: Any) -> Any:
        return 3 * super()._couple_(inputs, coupling_parameters)

    def _decouple_(self, outputs: Any, coupling_parameters: Any) -> Any:
        return super()._decouple_(outputs / 3, coupling_parameters)

    def compute_jacobian_determinant(self, x: Any) -> Any:
        """Return ln 3 for each changed entry more."""
        changed = self._mask_.call(ops.ones_like(x), is_positive=False)
        count = ops.sum(changed, axis=tuple(range(1, len(x.shape))))
        return super().compute_jacobian_determinant(x) + float(np.log(3)) * count


def dense(inputs: int, outputs: int, dtype: str, activation: str = "tanh") -> keras.Sequential:
    """A network [n, inputs] -> [n, outputs]."""
    layers = [
        keras.layers.Input((inputs,), dtype=keras.DTypePolicy(dtype).compute_dtype),
        keras.layers.Dense(6, activation=activation, dtype=dtype),
        keras.layers.Dropout(0.5, dtype=dtype),
        keras.layers.Dense(outputs, dtype=dtype),
    ]
    return keras.Sequential(layers)


def two_heads(size: int, dtype: str) -> keras.Model:
    """A network that gives the shift and the raw log-scale as a list."""
    x = keras.layers.Input((size,), dtype=keras.DTypePolicy(dtype).compute_dtype)
    h = keras.layers.Dense(6, activation="silu", dtype=dtype)(x)
    heads = [keras.layers.Dense(size, dtype=dtype)(h) for _ in range(2)]
    return keras.Model(x, heads)


@dataclass(frozen=True)
class Layout:
    """Where a layer acts: the shape of one input, and the axes, counted with the batch axis."""

    shape: tuple[int, ...]
    axes: tuple[int, ...]

    @property
    def sizes(self) -> list[int]:
        """The shape along the axes."""
        return [self.shape[axis - 1] for axis in self.axes]

    def __str__(self) -> str:
        """Such as 2×3×2 along 1, 3."""
        return f"{'×'.join(map(str, self.shape))} along {', '.join(map(str, self.axes))}"


@dataclass(frozen=True)
class Place:
    """A layout and a dtype, and what layers there are made from."""

    layout: Layout
    dtype: str

    @property
    def at(self) -> dict[str, Any]:
        """The keywords of every flow layer."""
        return {"shape": self.layout.sizes, "axes": list(self.layout.axes), "dtype": self.dtype}

    def coupled(self, mask: type[Mask], parameters: int) -> dict[str, Any]:
        """The keywords of a coupling with a network that gives so many parameters for each entry."""
        network = self.network(parameters)
        at = {"shape": self.layout.sizes, "axes": list(self.layout.axes)}
        return {**self.at, "mask": mask(**at), "compute_coupling_parameters": network}

    def network(self, parameters: int) -> Any:
        """Dense layers on [n, D]; a convolution on signals and images."""
        shape = self.layout.shape
        if len(shape) == 1:
            return dense(shape[0], parameters * shape[0], self.dtype)
        convolution = {2: keras.layers.Conv1D, 3: keras.layers.Conv2D, 4: keras.layers.Conv3D}[len(shape)]
        return convolution(parameters * shape[-1], 2, padding="same", activation="tanh", dtype=self.dtype)


VECTOR, PIXELS, APART = Layout((5,), (1,)), Layout((2, 3, 2), (1, 2)), Layout((2, 3, 2), (1, 3))
EVERYWHERE = (VECTOR, PIXELS, APART)


@dataclass(frozen=True)
class Kind:
    """One line of the table: how to make a layer, and where it may act."""

    make: Callable[[Place], Any]
    """The layer, not built."""
    layouts: tuple[Layout, ...] = EVERYWHERE
    """Where all laws are tried."""
    adjacent: bool = False
    """Whether its axes must follow each other without a gap."""
    multiple: int = 1
    """Of what the sizes along its axes must be multiples."""
    channels: bool = False
    """Whether the last axis can't be among its axes."""
    anywhere: bool = True
    """Whether it may act in layouts of other shapes."""


def flow(dtype: str) -> FlowModel:
    """A flow with one layer of every kind that keeps the shape, on latents [6]."""
    here = Place(Layout((6,), (1,)), dtype)
    return FlowModel(
        [
            ActivationNormalization(**here.at),
            Reflection(**here.at, reflection_count=4, seed=1),
            AffineCoupling(**here.coupled(HeavisideMask, 2)),
            ShufflePermutation(**here.at, seed=2),
            AdditiveCoupling(**here.coupled(CheckerBoardMask, 1)),
            CheckerBoardPermutation(**here.at),
            InvertibleLinear(**here.at, seed=3),
            RationalQuadraticSplineCoupling(**here.coupled(HeavisideMask, 8), bins=3),
            HeavisidePermutation(**here.at),
        ],
        dtype=dtype,
    )


def rotated(size: int) -> list[int]:
    """The permutation that moves each entry by one."""
    return [*range(1, size), 0]


KINDS: dict[str, Kind] = {
    "actnorm": Kind(lambda p: ActivationNormalization(**p.at)),
    "permutation": Kind(lambda p: Permutation(**p.at, permutation=rotated(prod(p.layout.sizes)))),
    "checkerboard permutation": Kind(lambda p: CheckerBoardPermutation(**p.at)),
    "heaviside permutation": Kind(lambda p: HeavisidePermutation(**p.at)),
    "shuffle": Kind(lambda p: ShufflePermutation(**p.at, seed=3)),
    "reflection": Kind(lambda p: Reflection(**p.at, reflection_count=3, seed=0)),
    "linear": Kind(lambda p: InvertibleLinear(**p.at, seed=0)),
    "additive": Kind(lambda p: AdditiveCoupling(**p.coupled(HeavisideMask, 1))),
    "affine": Kind(lambda p: AffineCoupling(**p.coupled(CheckerBoardMask, 2), log_scale_bound=2.0)),
    "affine with two heads": Kind(
        lambda p: AffineCoupling(
            **{**p.coupled(HeavisideMask, 2), "compute_coupling_parameters": two_heads(5, p.dtype)}
        ),
        (VECTOR,),
        anywhere=False,
    ),
    "spline": Kind(lambda p: RationalQuadraticSplineCoupling(**p.coupled(CheckerBoardMask, 8), bins=3, bound=2.0)),
    "reshape": Kind(
        lambda p: Reshape(**p.at, target_shape=[1, *p.layout.sizes[::-1]]), (Layout((2, 3, 2), (2, 3)),), adjacent=True
    ),
    "flatten": Kind(lambda p: Flatten(**p.at), (PIXELS, Layout((2, 3, 2), (1, 2, 3))), adjacent=True),
    "squeeze": Kind(
        lambda p: Squeeze(**p.at),
        (Layout((4, 2, 3), (1, 2)), Layout((6, 2), (1,)), Layout((2, 3, 2, 1), (1, 3))),
        multiple=2,
        channels=True,
    ),
    "own layer": Kind(lambda p: Softening(**p.at), (VECTOR, APART)),
    "own coupling": Kind(lambda p: Doubling(**p.coupled(HeavisideMask, 1)), (VECTOR, APART)),
    "own law": Kind(lambda p: Tripled(**p.coupled(HeavisideMask, 2)), (VECTOR, APART)),
    "flow": Kind(lambda p: flow(p.dtype), (Layout((6,), (1,)),), anywhere=False),
    "flow in a flow": Kind(
        lambda p: FlowModel([ShufflePermutation(**p.at, seed=4), flow(p.dtype)]),
        (Layout((6,), (1,)),),
        anywhere=False,
    ),
}
"""The table. A layer that is added here gets every law."""


@dataclass(frozen=True)
class Case:
    """A line of the table in one layout."""

    kind: Kind
    layout: Layout

    def make(self, dtype: str) -> Any:
        """Make the layer, not built."""
        return self.kind.make(Place(self.layout, dtype))

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one input."""
        return self.layout.shape

    @cached_property
    def code_shape(self) -> tuple[int, ...]:
        """Of one output."""
        layer = self.make("float32")
        return self.shape if isinstance(layer, FlowModel) else layer.compute_output_shape((None, *self.shape))[0][1:]

    @property
    def size(self) -> int:
        """The entries of one input, and of one output."""
        return prod(self.shape)


CASES: dict[str, Case] = {
    name if layout is kind.layouts[0] else f"{name}, {layout}": Case(kind, layout)
    for name, kind in KINDS.items()
    for layout in kind.layouts
}
"""The table in all its layouts; the first one bears the name alone."""


def made(case: Case, dtype: str, seed: int | None = None) -> Any:
    """Make and build a layer; with a seed, give it random weights."""
    keras.utils.set_random_seed(0)
    layer = case.make(dtype)
    layer.build((None, *case.shape))
    if seed is not None:
        randomize(layer, seed)
    return layer


def built(name: str, dtype: str, seed: int | None = None) -> Any:
    """Make and build a layer of the table; with a seed, give it random weights."""
    return made(CASES[name], dtype, seed)


def randomize(layer: Any, seed: int, spread: float = 1.0) -> None:
    """Give every trained variable random values: positive scales, and factors of matrices that stay well-conditioned."""
    draw = np.random.default_rng(seed)
    for variable in layer.trainable_variables:
        values = spread * draw.standard_normal(variable.shape)
        small = variable.name in {"lower", "upper", "log_scale"}
        variable.assign(np.exp(0.4 * values) if variable.name == "scale" else (0.2 if small else 0.7) * values)


def rows(name: str, count: int, dtype: str, scale: float = 1.0) -> Any:
    """Random inputs [count, …] for a layer of the table."""
    draws = np.random.default_rng(count).standard_normal((count, *CASES[name].shape))
    return (scale * draws).astype(dtype)


def codes(name: str, count: int, dtype: str, scale: float = 1.0) -> Any:
    """Random outputs [count, …] for a layer of the table."""
    return rows(name, count, dtype, scale).reshape(count, *CASES[name].code_shape)


over_layers = pytest.mark.parametrize("name", CASES)
"""For a law: a test of each line of the table, in each of its layouts."""


def error(found: Any, expected: Any) -> float:
    """The largest of |found − expected| / (1 + max|expected|), over rows."""
    found, expected = (np.asarray(ops.convert_to_numpy(x), np.float64) for x in (found, expected))
    assert found.shape == expected.shape
    found, expected = found.reshape(len(found), -1), expected.reshape(len(expected), -1)
    return float((np.abs(found - expected).max(axis=1) / (1 + np.abs(expected).max(axis=1))).max())
