"""An invertible linear layer whose matrix is kept as the factors of its LU decomposition."""

from collections.abc import Sequence
from math import prod
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from gyoza.inference.plan import LARGEST_LINEAR, Linear, Step
from gyoza.modelling.axes import join_axes, places_per_row, split_axes
from gyoza.modelling.flow_layers.base import FlowLayer, draw_seed
from gyoza.modelling.flow_layers.lowering import along_axes, inherits

__all__ = ["InvertibleLinear"]


@keras.saving.register_keras_serializable(package="gyoza")
class InvertibleLinear(FlowLayer):
    r"""Multiply the input, flattened along ``axes``, by a trained matrix :math:`W = P L (U + \mathrm{diag}(s))`.

    P is a fixed permutation, L is lower triangular with ones on its diagonal, U is strictly upper triangular, and the
    entries of s keep their signs; so W can never become singular, its log-determinant is :math:`\sum \ln |s|`, and its
    inverse costs two triangular systems. It starts as a random rotation. Along the channel axis of images this is the
    invertible 1×1 convolution.

    Args:
        shape: See ``FlowLayer``; D is its product.
        axes: See ``FlowLayer``. With [3] of an input [batch, width, height, channels], the layer mixes the channels,
            each pixel's by themselves.
        seed: Of the first rotation's draw. By default one that ``keras.utils.set_random_seed`` governs.
        **kwargs: What every Keras layer takes.

    Attributes:
        _lower_: [D, D], of which the entries below the diagonal count.
        _upper_: [D, D], of which the entries above the diagonal count.
        _log_scale_: [D], ln|s|.
        _signs_: [D], the signs of s; not trained.
        _permutation_: [D], entry i of the output is entry ``_permutation_[i]`` of L (U + diag(s)) x; not trained.

    Input shape:
        [batch, …] with ``shape`` along ``axes``.

    Output shape:
        The input's, and [batch] for the logdet.

    Raises:
        ValueError: As for ``FlowLayer``.

    References:
        Kingma, D. P. & Dhariwal, P. (2018) "Glow: Generative flow with invertible 1x1 convolutions" arXiv:1807.03039

    Example:
        >>> import numpy as np
        >>> from gyoza.modelling.flow_layers import InvertibleLinear
        >>> layer = InvertibleLinear(shape=[3], axes=[3], seed=0)  # mixes the channels of images
        >>> x = np.ones((2, 4, 4, 3), "float32")
        >>> outputs, logdet = layer(x)
        >>> tuple(outputs.shape), bool(np.allclose(layer.invert(outputs), x, atol=1e-5))
        ((2, 4, 4, 3), True)
    """

    def __init__(self, shape: Sequence[int], axes: Sequence[int], seed: int | None = None, **kwargs: Any) -> None:
        """Draw a rotation and factorise it."""
        super().__init__(shape, axes, **kwargs)
        self._seed_ = draw_seed() if seed is None else seed
        size = prod(self._shape_)
        rotation, _ = np.linalg.qr(np.random.default_rng(self._seed_).standard_normal((size, size)))
        permutation, lower, upper = factorise(rotation)
        diagonal = np.diag(upper)
        self._lower_ = self._add("lower", np.tril(lower, -1))
        self._upper_ = self._add("upper", np.triu(upper, 1))
        self._log_scale_ = self._add("log_scale", np.log(np.abs(diagonal)))
        self._signs_ = self._add("signs", np.sign(diagonal), trainable=False)
        self._permutation_ = self._add("permutation", permutation, trainable=False, dtype="int32")

    def call(self, inputs: Any) -> tuple[Any, Any]:
        """Multiply by W.

        Args:
            inputs: [batch, …].

        Returns:
            The outputs [batch, …] and log|det J| [batch].
        """
        x = self._prepare(inputs)
        lower, upper = self._triangles()
        rows = self._precise_rows(x) @ ops.transpose(upper) @ ops.transpose(lower)
        return self._shaped(ops.take(rows, self._permutation_, axis=-1)), self.compute_jacobian_determinant(x)

    def invert(self, outputs: Any) -> Any:
        """Undo ``call``: map its outputs [batch, …] back to its inputs [batch, …]."""
        lower, upper = self._triangles()
        identity = ops.eye(prod(self._shape_), dtype=lower.dtype)
        rows = ops.take(self._precise_rows(self._prepare(outputs)), ops.argsort(self._permutation_), axis=-1)
        rows = rows @ ops.transpose(ops.linalg.solve_triangular(lower, identity, lower=True))
        return self._shaped(rows @ ops.transpose(ops.linalg.solve_triangular(upper, identity)))

    def compute_jacobian_determinant(self, x: Any) -> Any:
        """Return Σ ln|s|, times the number of places along the other axes.

        Args:
            x: The input of ``call``, [batch, …].

        Returns:
            log|det J| [batch].
        """
        count = places_per_row(self._prepare(x), self._axes_, self.variable_dtype)
        return ops.cast(count * ops.sum(self._log_scale_), self.compute_dtype)

    def lower(self, input_shape: Sequence[int]) -> tuple[Step, ...]:
        """Lower to one ``Linear`` where the matrix is not too large, else as ``FlowLayer.lower``."""
        methods = ["call", "invert", "compute_jacobian_determinant", "_triangles", "_precise_rows", "_shaped"]
        if not inherits(self, InvertibleLinear, methods) or prod(self._shape_) > LARGEST_LINEAR:
            return super().lower(input_shape)
        lower, upper = (ops.convert_to_numpy(triangle).astype(np.float64) for triangle in self._triangles())
        rows = ops.convert_to_numpy(self._permutation_)
        factors = (lower @ upper)[rows], (np.linalg.inv(upper) @ np.linalg.inv(lower))[:, rows]
        logdet = prod(input_shape) // prod(self._shape_) * float(np.log(np.abs(np.diag(upper))).sum())
        return along_axes(Linear(factors[0].T, factors[1].T, logdet), self._axes_, input_shape)

    def get_config(self) -> dict[str, Any]:
        """Return what the constructor takes, ready for JSON."""
        return {**super().get_config(), "seed": self._seed_}

    def _add(self, name: str, values: NDArray[Any], trainable: bool = True, dtype: str | None = None) -> Any:
        # Not cast for the layer: half precision would make the two directions of another matrix.
        return self.add_weight(
            shape=values.shape,
            initializer=lambda shape, dtype: ops.convert_to_tensor(values.reshape(shape), dtype=dtype),
            dtype=dtype,
            trainable=trainable,
            autocast=False,
            name=name,
        )

    def _triangles(self) -> tuple[Any, Any]:
        """Return L and U + diag(s), each [D, D], in single precision or better."""
        precise = keras.backend.result_type(self._lower_.dtype, "float32")
        lower, upper, log_scale, signs = (
            ops.cast(part, precise) for part in (self._lower_, self._upper_, self._log_scale_, self._signs_)
        )
        identity = ops.eye(prod(self._shape_), dtype=precise)
        return ops.tril(lower, -1) + identity, ops.triu(upper, 1) + identity * (signs * ops.exp(log_scale))

    def _precise_rows(self, x: Any) -> Any:
        precise = keras.backend.result_type(self._lower_.dtype, "float32")
        return ops.cast(join_axes(x, self._axes_, self._shape_), precise)

    def _shaped(self, rows: Any) -> Any:
        return ops.cast(split_axes(rows, self._axes_, self._shape_), self.compute_dtype)


def factorise(matrix: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.float64]]:
    """Factorise an invertible matrix [D, D] by elimination with row pivots.

    Returns:
        A permutation [D], a lower triangular matrix with ones on the diagonal, and an upper triangular one, such that
        ``(lower @ upper)[permutation]`` is the matrix.
    """
    upper, lower, rows = matrix.copy(), np.zeros_like(matrix), np.arange(len(matrix))
    for column in range(len(matrix)):
        swap = [column, column + int(np.argmax(np.abs(upper[column:, column])))]
        for array in (upper, lower, rows):
            array[swap] = array[swap[::-1]]
        factors = upper[column + 1 :, column] / upper[column, column]
        lower[column + 1 :, column] = factors
        upper[column + 1 :] -= np.outer(factors, upper[column])
    return np.argsort(rows), lower + np.eye(len(matrix)), np.triu(upper)
