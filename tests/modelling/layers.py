"""The table of layers over which the laws run: a name, how to make the layer, and the shape of one input."""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import keras
import numpy as np
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
from gyoza.modelling.masks import CheckerBoardMask, HeavisideMask


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


def masked(kind: Any, shape: list[int], axes: list[int]) -> dict[str, Any]:
    """The keywords that a coupling shares with its mask, and the mask."""
    return {"shape": shape, "axes": axes, "mask": kind(shape=shape, axes=axes)}


def flow(dtype: str) -> FlowModel:
    """A flow with one layer of every kind, on latents [6]."""
    return FlowModel(
        [
            ActivationNormalization([6], [1], dtype=dtype),
            Reflection([6], [1], reflection_count=4, seed=1, dtype=dtype),
            AffineCoupling(
                compute_coupling_parameters=dense(6, 12, dtype), **masked(HeavisideMask, [6], [1]), dtype=dtype
            ),
            ShufflePermutation([6], [1], seed=2, dtype=dtype),
            AdditiveCoupling(
                compute_coupling_parameters=dense(6, 6, dtype, "silu"),
                **masked(CheckerBoardMask, [6], [1]),
                dtype=dtype,
            ),
            CheckerBoardPermutation([6], [1], dtype=dtype),
            HeavisidePermutation([6], [1], dtype=dtype),
        ],
        dtype=dtype,
    )


@dataclass(frozen=True)
class Case:
    """One line of the table."""

    make: Callable[[str], Any]
    """dtype -> the layer, not built."""
    shape: tuple[int, ...]
    """Of one input."""
    codes: tuple[int, ...] | None = None
    """The shape of one output, where that is not the input's."""

    @property
    def code_shape(self) -> tuple[int, ...]:
        """The shape of one output."""
        return self.shape if self.codes is None else self.codes

    @property
    def size(self) -> int:
        """The entries of one input, and of one output."""
        return prod(self.shape)


IMAGE = (2, 3, 2)


def spline(shape: list[int], axes: list[int], network: Any, mask: Any, **keywords: Any) -> Callable[[str], Any]:
    """A constructor of a spline coupling with 3 bins, whose network is made by ``network`` for 8 parameters an entry."""
    return lambda d: RationalQuadraticSplineCoupling(
        compute_coupling_parameters=network(d), **masked(mask, shape, axes), bins=3, dtype=d, **keywords
    )


CASES: dict[str, Case] = {
    "actnorm": Case(lambda d: ActivationNormalization([5], [1], dtype=d), (5,)),
    "actnorm of pixels": Case(lambda d: ActivationNormalization([2, 3], [1, 2], dtype=d), IMAGE),
    "actnorm of axes apart": Case(lambda d: ActivationNormalization([2, 2], [1, 3], dtype=d), IMAGE),
    "permutation": Case(lambda d: Permutation([4], [1], [2, 0, 3, 1], dtype=d), (4,)),
    "checkerboard permutation": Case(lambda d: CheckerBoardPermutation([3, 3], [1, 2], dtype=d), (3, 3)),
    "heaviside permutation": Case(lambda d: HeavisidePermutation([5], [1], dtype=d), (5,)),
    "shuffle of axes apart": Case(lambda d: ShufflePermutation([2, 2], [1, 3], seed=3, dtype=d), IMAGE),
    "reflection": Case(lambda d: Reflection([5], [1], reflection_count=3, seed=0, dtype=d), (5,)),
    "reflection of axes apart": Case(lambda d: Reflection([2, 2], [1, 3], reflection_count=2, seed=0, dtype=d), IMAGE),
    "additive": Case(
        lambda d: AdditiveCoupling(
            compute_coupling_parameters=dense(5, 5, d), **masked(HeavisideMask, [5], [1]), dtype=d
        ),
        (5,),
    ),
    "additive of pixels": Case(
        lambda d: AdditiveCoupling(
            compute_coupling_parameters=keras.layers.Conv2D(2, 2, padding="same", activation="tanh", dtype=d),
            **masked(CheckerBoardMask, [2, 3], [1, 2]),
            dtype=d,
        ),
        IMAGE,
    ),
    "affine": Case(
        lambda d: AffineCoupling(
            compute_coupling_parameters=dense(4, 8, d), **masked(HeavisideMask, [4], [1]), log_scale_bound=2.0, dtype=d
        ),
        (4,),
    ),
    "affine with two heads": Case(
        lambda d: AffineCoupling(
            compute_coupling_parameters=two_heads(5, d), **masked(CheckerBoardMask, [5], [1]), dtype=d
        ),
        (5,),
    ),
    "affine of axes apart": Case(
        lambda d: AffineCoupling(
            compute_coupling_parameters=keras.layers.Conv2D(4, 1, activation="tanh", dtype=d),
            **masked(CheckerBoardMask, [2, 2], [1, 3]),
            dtype=d,
        ),
        IMAGE,
    ),
    "spline": Case(spline([5], [1], lambda d: dense(5, 40, d), HeavisideMask), (5,)),
    "spline of pixels": Case(
        spline(
            [2, 3], [1, 2], lambda d: keras.layers.Conv2D(16, 2, padding="same", dtype=d), CheckerBoardMask, bound=2.0
        ),
        IMAGE,
    ),
    "spline of axes apart": Case(
        spline([2, 2], [1, 3], lambda d: keras.layers.Conv2D(16, 1, dtype=d), CheckerBoardMask), IMAGE
    ),
    "linear": Case(lambda d: InvertibleLinear([5], [1], seed=0, dtype=d), (5,)),
    "linear of channels": Case(lambda d: InvertibleLinear([2], [3], seed=0, dtype=d), IMAGE),
    "linear of axes apart": Case(lambda d: InvertibleLinear([2, 2], [1, 3], seed=0, dtype=d), IMAGE),
    "reshape": Case(lambda d: Reshape([3, 2], [2, 3], [2, 1, 3], dtype=d), IMAGE, (2, 2, 1, 3)),
    "flatten": Case(lambda d: Flatten(IMAGE, [1, 2, 3], dtype=d), IMAGE, (12,)),
    "squeeze": Case(lambda d: Squeeze([4, 2], [1, 2], dtype=d), (4, 2, 3), (2, 1, 12)),
    "squeeze of a signal": Case(lambda d: Squeeze([6], [1], factor=3, dtype=d), (6, 2), (2, 6)),
    "squeeze of axes apart": Case(lambda d: Squeeze([2, 2], [1, 3], dtype=d), (2, 3, 2, 1), (1, 3, 1, 4)),
    "own layer": Case(lambda d: Softening([3], [1], dtype=d), (3,)),
    "own coupling": Case(
        lambda d: Doubling(compute_coupling_parameters=dense(4, 4, d), **masked(HeavisideMask, [4], [1]), dtype=d), (4,)
    ),
    "own law": Case(
        lambda d: Tripled(compute_coupling_parameters=dense(4, 8, d), **masked(HeavisideMask, [4], [1]), dtype=d), (4,)
    ),
    "flow": Case(flow, (6,)),
    "flow in a flow": Case(lambda d: FlowModel([ShufflePermutation([6], [1], seed=4, dtype=d), flow(d)]), (6,)),
}


def built(name: str, dtype: str, seed: int | None = None) -> Any:
    """Make and build a layer of the table; with a seed, give it random weights."""
    keras.utils.set_random_seed(0)
    case = CASES[name]
    layer = case.make(dtype)
    layer.build((None, *case.shape))
    if seed is not None:
        randomize(layer, seed)
    return layer


def randomize(layer: Any, seed: int) -> None:
    """Give every trained variable random values, scales positive ones."""
    draw = np.random.default_rng(seed)
    for variable in layer.trainable_variables:
        values = draw.standard_normal(variable.shape)
        variable.assign(np.exp(0.4 * values) if variable.name == "scale" else 0.7 * values)


def rows(name: str, count: int, dtype: str, scale: float = 1.0) -> Any:
    """Random inputs [count, …] for a layer of the table."""
    draws = np.random.default_rng(count).standard_normal((count, *CASES[name].shape))
    return (scale * draws).astype(dtype)


def codes(name: str, count: int, dtype: str, scale: float = 1.0) -> Any:
    """Random outputs [count, …] for a layer of the table."""
    return rows(name, count, dtype, scale).reshape(count, *CASES[name].code_shape)
