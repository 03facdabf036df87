"""A plan is data: the frozen steps, and their arrays, that a flow was lowered to.

Every step acts on rows [n, D], the latents flattened in C order, and is a bijection of them. Layers lower themselves to
these steps (``FlowLayer.lower``); ``gyoza.inference.fusion`` makes fewer and cheaper ones of them; executors run them.
Nothing here knows a layer, Keras, or how a step is run.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "LARGEST_LINEAR",
    "Additive",
    "Affine",
    "BoundedAffine",
    "Columns",
    "Coupling",
    "Dense",
    "DenseNetwork",
    "Floats",
    "Floor",
    "FoldedNetwork",
    "Gather",
    "Indices",
    "Law",
    "Linear",
    "Opaque",
    "OpaqueNetwork",
    "Origin",
    "Plan",
    "Rotation",
    "Spline",
    "Step",
]

LARGEST_LINEAR = 1024
"""Up to how many entries along its axes a linear layer becomes a matrix in a plan."""
Floats: TypeAlias = NDArray[np.floating[Any]]
Indices: TypeAlias = NDArray[np.intp]
Columns: TypeAlias = Indices | slice
"""Some of the D columns of rows [n, D]: their indices, or the slice that they are."""


@dataclass(frozen=True, eq=False)
class Gather:
    """Reorder the columns: ``y[:, i] = x[:, indices[i]]``. Its logdet is 0."""

    indices: Indices
    """[D], each of 0 … D-1 once."""

    @cached_property
    def inverse(self) -> Indices:
        """The indices that undo it, [D]."""
        return np.argsort(self.indices)


@dataclass(frozen=True, eq=False)
class Affine:
    """Shift and scale each column: ``y = (x - location) * scale``. Its logdet is Σ ln|scale|.

    The location comes off first: ``x * scale + shift`` would lose digits where it is large beside 1 / scale.
    """

    scale: Floats
    """[D], nowhere 0; float64, cast when the plan is compiled."""
    location: Floats
    """[D]."""

    @cached_property
    def logdet(self) -> float:
        """Σ ln|scale|, the same for every row."""
        with np.errstate(all="ignore"):
            return float(np.log(np.abs(self.scale.astype(np.float64))).sum())


@dataclass(frozen=True, eq=False)
class Rotation:
    """Multiply each m columns, side by side, by an orthogonal matrix: ``y = x @ matrix``. Its logdet is 0."""

    matrix: Floats
    """[m, m], m a divisor of D; orthogonal, so that its transpose undoes it; float64, cast when the plan is compiled."""


@dataclass(frozen=True, eq=False)
class Linear:
    """Multiply each m columns, side by side, by an invertible matrix, and shift: ``y = x @ matrix + shift``."""

    matrix: Floats
    """[m, m], m a divisor of D; float64, cast when the plan is compiled."""
    inverse: Floats
    """[m, m]; likewise, and computed from the factors of the matrix."""
    logdet: float
    """ln|det| of the whole step, D / m times that of the matrix; the same for every row."""
    shift: Floats | None = None
    """[m]; None where there is none."""
    unshift: Floats | None = None
    """[m], so that ``x = y @ inverse + unshift``."""


@dataclass(frozen=True, eq=False)
class Dense:
    """One dense layer: ``activation(x @ kernel + bias)``."""

    kernel: Floats
    """[inputs, outputs]."""
    bias: Floats
    """[outputs]."""
    activation: str = "linear"
    """A key of ``gyoza.inference.activations.ACTIVATIONS``."""


@dataclass(frozen=True, eq=False)
class DenseNetwork:
    """Dense layers in a row, from the kept columns [n, K] to the coupling parameters [n, p·C]."""

    layers: tuple[Dense, ...]


@dataclass(frozen=True, eq=False)
class Floor:
    """One dense layer, ``max(x @ kernel, floor)``: relu without its bias, which the layer behind adds."""

    kernel: Floats
    """[inputs, outputs]."""
    floor: Floats
    """[outputs]."""


@dataclass(frozen=True, eq=False)
class FoldedNetwork:
    """A dense network in which relu layers gave their biases to the layers behind them; only fusion makes one."""

    layers: tuple[Dense | Floor, ...]


@dataclass(frozen=True, eq=False)
class OpaqueNetwork:
    """A network that is only known as a function of the kept columns [n, K] to the coupling parameters [n, p·C].

    What the function returns belongs to the caller, who may write over it: an array that it keeps it must copy.
    """

    function: Callable[[Floats], Floats]
    source: str = "a network"
    """What is called, for messages."""


@dataclass(frozen=True)
class Additive:
    """The coupling law ``y = x + t`` with parameters t [n, C]. Its logdet is 0."""

    @property
    def parameters(self) -> int:
        """How many each changed column takes."""
        return 1


@dataclass(frozen=True)
class BoundedAffine:
    """The coupling law ``y = x · exp(σ) + t``, σ = bound · tanh(s / bound), with parameters t, s [n, 2·C]. logdet Σσ."""

    bound: float

    @property
    def parameters(self) -> int:
        """How many each changed column takes."""
        return 2


@dataclass(frozen=True)
class Spline:
    """The coupling law of a monotone rational-quadratic spline on [−bound, bound], the identity outside.

    Its parameters [n, (3K − 1)·C] are the raw widths and heights of K bins and the raw slopes at the K − 1 inner knots,
    each C side by side; a raw value of 0 everywhere is the identity. logdet Σ ln of the slopes at the entries.
    """

    bins: int
    """K."""
    bound: float
    smallest_share: float
    """The least share of the interval that a bin takes."""
    smallest_slope: float

    @property
    def parameters(self) -> int:
        """How many each changed column takes."""
        return 3 * self.bins - 1


Law: TypeAlias = Additive | BoundedAffine | Spline


@dataclass(frozen=True, eq=False)
class Coupling:
    """Transform C columns by a law whose parameters a network computes from the K kept columns; K + C = D."""

    kept: Columns
    """K of them, ascending."""
    changed: Columns
    """C of them, ascending; all others."""
    network: DenseNetwork | FoldedNetwork | OpaqueNetwork
    law: Law


@dataclass(frozen=True, eq=False)
class Opaque:
    """A bijection that is only known as a pair of functions: whatever a layer's own Keras code does.

    What they return belongs to the caller, who may write over it: an array that they keep they must copy.
    """

    encode: Callable[[Floats], tuple[Floats, Floats]]
    """rows [n, D] -> (rows [n, D'], logdet [n])."""
    invert: Callable[[Floats], Floats]
    """rows [n, D'] -> rows [n, D]."""
    source: str = "a layer"
    """What is called, for messages."""


Step: TypeAlias = Gather | Affine | Rotation | Linear | Coupling | Opaque


@dataclass(frozen=True)
class Origin:
    """The model that a plan was lowered from."""

    factors: Mapping[str, int] | None
    """Factor names and sizes in the order of the code, the residual first; None where it has none."""
    layers: int
    """How many flow layers it has."""
    parameters: int
    """How many numbers its weights hold."""
    libraries: Mapping[str, str]
    """Library name to version."""


@dataclass(frozen=True, eq=False)
class Plan:
    """A flow as steps, run in order from latents to codes and in reverse order back."""

    steps: tuple[Step, ...]
    latent_shape: tuple[int, ...]
    """The shape of one latent, without the batch axis."""
    code_shape: tuple[int, ...]
    """The shape of one code; as many entries as a latent."""
    dtype: np.dtype[np.floating[Any]]
    """What the flow computes in, and answers with."""
    origin: Origin | None = None
    """What it was lowered from; None where that is not known."""

    @property
    def size(self) -> int:
        """D, the entries of one latent and of one code."""
        return prod(self.latent_shape)
