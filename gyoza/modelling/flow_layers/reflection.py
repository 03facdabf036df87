"""Reflections at trained hyperplanes."""

from collections.abc import Sequence
from math import prod
from typing import Any, Self

import keras
import numpy as np
from keras import ops

from gyoza.inference.plan import LARGEST_LINEAR, Rotation, Step
from gyoza.modelling.axes import as_integers, join_axes, split_axes
from gyoza.modelling.flow_layers.base import VolumePreserving, draw_seed
from gyoza.modelling.flow_layers.lowering import along_axes, inherits

__all__ = ["Reflection", "householder_product"]


@keras.saving.register_keras_serializable(package="gyoza")
class Reflection(VolumePreserving):
    r"""Reflect the input, flattened along ``axes``, at ``reflection_count`` trained hyperplanes, one after the other.

    Each reflection is a Householder transform :math:`x - 2 v (v^T x) / |v|^2` with a normal v of any length above 0; as
    |v|² is divided by, the layer stays orthogonal while the normals are trained. All of them are applied at once, as
    the product :math:`I - V^T T V` of the reflections (its compact WY form).

    Args:
        shape: See ``FlowLayer``.
        axes: See ``FlowLayer``. These are axes of the input, not the normals.
        reflection_count: How many reflections follow each other, at least 1.
        seed: Of the normals' draw. By default one that ``keras.utils.set_random_seed`` governs.
        **kwargs: What every Keras layer takes.

    Attributes:
        _reflection_normals_: The normals, [reflection_count, D], D being the product of ``shape``; of unit length at
            first.
        _inverse_mode_: False. True makes ``call`` and ``_reflect_`` apply the reflections in reverse order; ``invert``
            always undoes ``call``. A subclass that overrides ``_reflect_`` reads it there: ``invert`` calls the method on
            a view of the layer where it is the other way round, and never sets it on the layer.

    Input shape:
        [batch, …] with ``shape`` along ``axes``.

    Output shape:
        The input's, and [batch] for the logdet, which is 0.

    Raises:
        ValueError: ``reflection_count`` is below 1, or as for ``FlowLayer``.
        TypeError: It is no integer.

    References:
        Meng, C., Song, Y., Song, J. & Ermon, S. (2020) "Gaussianization flows" arXiv:2003.01941

        Schreiber, R. & Van Loan, C. (1989) "A storage-efficient WY representation for products of Householder
        transformations" SIAM Journal on Scientific and Statistical Computing 10(1)

    Example:
        >>> import numpy as np
        >>> from gyoza.modelling.flow_layers import Reflection
        >>> layer = Reflection(shape=[2], axes=[1], reflection_count=1)
        >>> layer._reflection_normals_.assign([[1.0, 0.0]])  # doctest: +ELLIPSIS
        <...>
        >>> np.asarray(layer(np.array([[3.0, 4.0]]))[0]).tolist()
        [[-3.0, 4.0]]
    """

    def __init__(
        self,
        shape: Sequence[int],
        axes: Sequence[int],
        reflection_count: int,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        """Draw the normals."""
        super().__init__(shape, axes, **kwargs)
        (self._reflection_count_,) = as_integers([reflection_count], "reflection_count")
        if self._reflection_count_ < 1:
            raise ValueError(f"reflection_count must be at least 1. Received: reflection_count={reflection_count}")
        self._seed_ = draw_seed() if seed is None else seed
        self._inverse_mode_ = False
        # Not cast for the layer: normals in half precision would be other normals in call than in a plan.
        self._reflection_normals_ = self.add_weight(
            shape=(self._reflection_count_, prod(self._shape_)),
            initializer=self._draw,
            autocast=False,
            name="reflection_normals",
        )

    def call(self, inputs: Any) -> tuple[Any, Any]:
        """Reflect.

        Args:
            inputs: [batch, …].

        Returns:
            The reflected inputs [batch, …] and log|det J| = 0 [batch].
        """
        x = self._prepare(inputs)
        reflected = self._reflect_(join_axes(x, self._axes_, self._shape_))
        return split_axes(reflected, self._axes_, self._shape_), self.compute_jacobian_determinant(x)

    def invert(self, outputs: Any) -> Any:
        """Undo ``call``: map its outputs [batch, …] back to its inputs [batch, …]."""
        rows = join_axes(self._prepare(outputs), self._axes_, self._shape_)
        return split_axes(self._turned_round()._reflect_(rows), self._axes_, self._shape_)

    def _reflect_(self, x: Any) -> Any:
        """Apply all reflections, in reverse order where ``_inverse_mode_`` is set.

        Args:
            x: [batch, the axes that are not the layer's, D].

        Returns:
            The reflected data, of the same shape.
        """
        return self._rotate(x, reverse=self._inverse_mode_)

    def lower(self, input_shape: Sequence[int]) -> tuple[Step, ...]:
        """Lower to one ``Rotation`` where the matrix is not too large, else as ``FlowLayer.lower``."""
        methods = ["call", "invert", "compute_jacobian_determinant", "_reflect_", "_rotate", "_turned_round"]
        if not inherits(self, Reflection, methods) or prod(self._shape_) > LARGEST_LINEAR:
            return super().lower(input_shape)
        block = householder_product(ops.convert_to_numpy(self._reflection_normals_).astype(np.float64))
        return along_axes(Rotation(block.T if self._inverse_mode_ else block), self._axes_, input_shape)

    def get_config(self) -> dict[str, Any]:
        """Return what the constructor takes, ready for JSON."""
        return {**super().get_config(), "reflection_count": self._reflection_count_, "seed": self._seed_}

    def _turned_round(self) -> Self:
        """Return a view of the layer, with the same variables, whose ``_inverse_mode_`` is the other way round.

        Threads share the layer, so the direction of one call must never be written on it.
        """
        view = object.__new__(type(self))
        view.__dict__.update(self.__dict__, _inverse_mode_=not self._inverse_mode_)
        return view

    def _draw(self, shape: Sequence[int], dtype: Any = None) -> Any:
        normals = np.random.default_rng(self._seed_).standard_normal(tuple(shape))
        return ops.convert_to_tensor(normals / np.linalg.norm(normals, axis=1, keepdims=True), dtype=dtype)

    def _rotate(self, x: Any, reverse: bool) -> Any:
        # No backend solves triangular systems in half precision, nor would the product stay orthogonal.
        precise = keras.backend.result_type(self._reflection_normals_.dtype, "float32")
        normals = ops.cast(self._reflection_normals_, precise)
        unit = normals / ops.sqrt(ops.sum(normals * normals, axis=1, keepdims=True))
        identity = ops.eye(normals.shape[0], dtype=normals.dtype)
        gram = ops.triu(ops.matmul(unit, ops.transpose(unit)), 1) + 0.5 * identity
        factor = ops.linalg.solve_triangular(gram, identity)
        unit, factor = (ops.cast(matrix, x.dtype) for matrix in (unit, ops.transpose(factor) if reverse else factor))
        return x - ops.matmul(ops.matmul(ops.matmul(x, ops.transpose(unit)), factor), unit)


def householder_product(normals: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return Q [D, D] such that rows x @ Q are reflected at each of ``normals`` [count, D], the first one first."""
    product = np.eye(normals.shape[1])
    for normal in normals:
        product -= np.outer(product @ normal, normal) * (2 / (normal @ normal))
    return product
