"""Layers that reorder the entries of their input."""

from collections.abc import Generator, Sequence
from itertools import pairwise
from math import prod
from typing import Any

import keras
import numpy as np
from keras import ops

from gyoza.inference.plan import Gather, Step
from gyoza.modelling.axes import as_integers, check_shape_and_axes, join_axes, joined_indices, split_axes
from gyoza.modelling.flow_layers.base import VolumePreserving, draw_seed
from gyoza.modelling.flow_layers.lowering import inherits

__all__ = ["CheckerBoardPermutation", "HeavisidePermutation", "Permutation", "ShufflePermutation"]


@keras.saving.register_keras_serializable(package="gyoza")
class Permutation(VolumePreserving):
    """Flatten the input along ``axes``, reorder the entries, and put it back into its shape.

    Args:
        shape: See ``FlowLayer``.
        axes: See ``FlowLayer``.
        permutation: Each of 0 … D−1 once, D being the product of ``shape``: entry i of the flat output is entry
            ``permutation[i]`` of the flat input.
        **kwargs: What every Keras layer takes.

    Input shape:
        [batch, …] with ``shape`` along ``axes``.

    Output shape:
        The input's, and [batch] for the logdet, which is 0.

    Raises:
        ValueError: ``permutation`` does not hold each of 0 … D−1 once, or as for ``FlowLayer``.
        TypeError: It holds something else than integers.

    References:
        Kingma, D. P. & Dhariwal, P. (2018) "Glow: Generative flow with invertible 1x1 convolutions" arXiv:1807.03039

    Example:
        >>> import numpy as np
        >>> from gyoza.modelling.flow_layers import Permutation
        >>> outputs, _ = Permutation(shape=[3], axes=[1], permutation=[2, 0, 1])(np.array([[5.0, 6.0, 7.0]]))
        >>> np.asarray(outputs).tolist()
        [[7.0, 5.0, 6.0]]
    """

    def __init__(self, shape: Sequence[int], axes: Sequence[int], permutation: Sequence[int], **kwargs: Any) -> None:
        """Store the permutation and its inverse as variables that are not trained."""
        super().__init__(shape, axes, **kwargs)
        forward = np.asarray(as_integers(permutation, "permutation"), "int32")
        if not np.array_equal(np.sort(forward), np.arange(prod(self._shape_))):
            raise ValueError(
                f"permutation must hold each of 0 … {prod(self._shape_) - 1} once. Received: permutation={permutation}"
            )
        self._forward_permutation_ = self._add_indices("forward_permutation", forward)
        self._inverse_permutation_ = self._add_indices("inverse_permutation", np.argsort(forward))

    def call(self, inputs: Any) -> tuple[Any, Any]:
        """Reorder the entries.

        Args:
            inputs: [batch, …].

        Returns:
            The reordered inputs [batch, …] and log|det J| = 0 [batch].
        """
        return self._reorder(inputs, self._forward_permutation_), self.compute_jacobian_determinant(inputs)

    def invert(self, outputs: Any) -> Any:
        """Put the entries of ``outputs`` [batch, …] back to where they came from, [batch, …]."""
        return self._reorder(outputs, self._inverse_permutation_)

    def lower(self, input_shape: Sequence[int]) -> tuple[Step, ...]:
        """Lower to one ``Gather``; see ``FlowLayer.lower``."""
        if not inherits(self, Permutation, ["call", "invert", "_reorder", "compute_jacobian_determinant"]):
            return super().lower(input_shape)
        positions = joined_indices(self._axes_, input_shape)
        indices = np.empty(positions.size, dtype=np.intp)
        indices[positions] = positions[:, ops.convert_to_numpy(self._forward_permutation_)]
        return (Gather(indices),)

    def get_config(self) -> dict[str, Any]:
        """Return what the constructor takes, the permutation included."""
        forward = ops.convert_to_numpy(self._forward_permutation_)
        return {**super().get_config(), "permutation": forward.tolist()}

    def _add_indices(self, name: str, values: Any) -> Any:
        return self.add_weight(
            shape=values.shape,
            dtype="int32",
            initializer=lambda shape, dtype: ops.convert_to_tensor(values.reshape(shape), dtype=dtype),
            trainable=False,
            name=name,
        )

    def _reorder(self, x: Any, permutation: Any) -> Any:
        rows = join_axes(self._prepare(x), self._axes_, self._shape_)
        return split_axes(ops.take(rows, permutation, axis=-1), self._axes_, self._shape_)


@keras.saving.register_keras_serializable(package="gyoza")
class CheckerBoardPermutation(Permutation):
    """Swap neighbours along a rope that runs through the input, as on a checkerboard.

    A rope is laid through the input along ``axes`` (to and fro along the last axis, then one step along the one before).
    The entries 0 and 1 of the rope change places, 2 and 3, and so on; the last one of an odd number stays. Any number of
    axes will do. Goes with ``gyoza.modelling.masks.CheckerBoardMask``: what the mask keeps moves to what it does not.

    Args:
        shape: See ``FlowLayer``.
        axes: See ``FlowLayer``.
        permutation: By default the one described. A config holds it, so that a saved layer never changes.
        **kwargs: What every Keras layer takes.

    Input shape:
        [batch, …] with ``shape`` along ``axes``.

    Output shape:
        The input's, and [batch] for the logdet, which is 0.

    Raises:
        ValueError: As for ``Permutation``.

    References:
        Dinh, L., Sohl-Dickstein, J. & Bengio, S. (2016) "Density estimation using Real NVP" arXiv:1605.08803

    Example:
        >>> from gyoza.modelling.flow_layers import CheckerBoardPermutation
        >>> CheckerBoardPermutation(shape=[2, 2], axes=[1, 2]).get_config()["permutation"]
        [1, 0, 3, 2]
    """

    def __init__(
        self, shape: Sequence[int], axes: Sequence[int], permutation: Sequence[int] | None = None, **kwargs: Any
    ) -> None:
        """Lay the rope and swap along it."""
        sizes, _ = check_shape_and_axes(shape, axes)
        super().__init__(shape, axes, self._swapped(sizes) if permutation is None else permutation, **kwargs)

    @staticmethod
    def generate_rope_indices(shape: Sequence[int]) -> Generator[list[int], None, None]:
        """Walk through all cells of a tensor, each a neighbour of the one before, later axes first.

        Args:
            shape: The shape of the tensor.

        Yields:
            The index of the current cell, one entry per axis: a list of its own each time, ``prod(shape)`` in all.
        """
        indices, directions = [0] * len(shape), [1] * len(shape)
        for _ in range(prod(shape)):
            yield list(indices)
            for axis in reversed(range(len(shape))):
                if not CheckerBoardPermutation.is_end_of_axis(indices[axis], shape[axis], directions[axis]):
                    indices[axis] += directions[axis]
                    break
                directions[axis] = -directions[axis]

    @staticmethod
    def is_end_of_axis(index: int, limit: int, direction: int) -> bool:
        """Whether an index that moves along an axis has arrived at its end.

        Args:
            index: The index.
            limit: The number of entries along the axis.
            direction: 1 where the index increases, −1 where it decreases.

        Returns:
            True at ``limit`` − 1 on the way up and at 0 on the way down.
        """
        return index == (limit - 1 if direction == 1 else 0)

    @staticmethod
    def _swapped(shape: Sequence[int]) -> list[int]:
        cells = CheckerBoardPermutation.generate_rope_indices(shape)
        rope = [int(np.ravel_multi_index(cell, tuple(shape))) for cell in cells]
        permutation = list(range(len(rope)))
        for a, b in list(pairwise(rope))[::2]:
            permutation[a], permutation[b] = b, a
        return permutation


@keras.saving.register_keras_serializable(package="gyoza")
class HeavisidePermutation(Permutation):
    """Swap the first and the second half of the input, flattened along ``axes``.

    For an odd number D of entries the halves are unequal, and the swap is a rotation: the output is
    ``concat(x[D//2:], x[:D//2])``, so that over successive layers every entry visits every place. Goes with
    ``gyoza.modelling.masks.HeavisideMask``.

    Args:
        shape: See ``FlowLayer``.
        axes: See ``FlowLayer``.
        permutation: By default the one described. A config holds it, so that a saved layer never changes.
        **kwargs: What every Keras layer takes.

    Input shape:
        [batch, …] with ``shape`` along ``axes``.

    Output shape:
        The input's, and [batch] for the logdet, which is 0.

    Raises:
        ValueError: As for ``Permutation``.

    References:
        Dinh, L., Krueger, D. & Bengio, Y. (2015) "NICE: Non-linear independent components estimation"
        arXiv:1410.8516

    Example:
        >>> from gyoza.modelling.flow_layers import HeavisidePermutation
        >>> HeavisidePermutation(shape=[5], axes=[1]).get_config()["permutation"]
        [2, 3, 4, 0, 1]
    """

    def __init__(
        self, shape: Sequence[int], axes: Sequence[int], permutation: Sequence[int] | None = None, **kwargs: Any
    ) -> None:
        """Rotate by half the number of entries."""
        sizes, _ = check_shape_and_axes(shape, axes)
        size = prod(sizes)
        halves = [*range(size // 2, size), *range(size // 2)]
        super().__init__(shape, axes, halves if permutation is None else permutation, **kwargs)


@keras.saving.register_keras_serializable(package="gyoza")
class ShufflePermutation(Permutation):
    """Shuffle the entries of the input, flattened along ``axes``: drawn once, when the layer is made, and kept.

    Args:
        shape: See ``FlowLayer``.
        axes: See ``FlowLayer``.
        seed: Of the draw. By default one that ``keras.utils.set_random_seed`` governs.
        permutation: By default the one drawn. A config holds it, so that a saved or cloned layer never changes.
        **kwargs: What every Keras layer takes.

    Input shape:
        [batch, …] with ``shape`` along ``axes``.

    Output shape:
        The input's, and [batch] for the logdet, which is 0.

    Raises:
        ValueError: As for ``Permutation``.

    References:
        Esser, P., Rombach, R. & Ommer, B. (2020) "A disentangling invertible interpretation network for explaining
        latent representations" arXiv:2004.13166

    Example:
        >>> from gyoza.modelling.flow_layers import ShufflePermutation
        >>> ShufflePermutation(shape=[5], axes=[1], seed=0).get_config()["permutation"]
        [2, 4, 3, 0, 1]
    """

    def __init__(
        self,
        shape: Sequence[int],
        axes: Sequence[int],
        seed: int | None = None,
        permutation: Sequence[int] | None = None,
        **kwargs: Any,
    ) -> None:
        """Draw the permutation."""
        sizes, _ = check_shape_and_axes(shape, axes)
        seed = draw_seed() if seed is None else seed
        drawn = np.random.default_rng(seed).permutation(prod(sizes)).tolist()
        super().__init__(shape, axes, drawn if permutation is None else permutation, **kwargs)
        self._seed_ = seed

    def get_config(self) -> dict[str, Any]:
        """Return what the constructor takes, the permutation included."""
        return {**super().get_config(), "seed": self._seed_}
