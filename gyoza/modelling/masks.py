"""Masks that let some entries of a tensor pass and cancel out the others."""

from collections.abc import Sequence
from functools import reduce
from math import prod
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from gyoza.modelling.axes import (
    broadcast_shape,
    check_input_shape,
    check_shape_and_axes,
    join_axes,
    split_axes,
    spread,
)

__all__ = ["CheckerBoardMask", "HeavisideMask", "Mask"]


@keras.saving.register_keras_serializable(package="gyoza")
class Mask(keras.layers.Layer):
    """Let the entries of a tensor pass where the mask is 1, and set the others to 0.

    Entries are selected, never multiplied: what is cancelled out does not matter, be it infinite or not a number.

    Args:
        axes: The axes along which the mask lies: ascending, without the batch axis 0.
        shape: The sizes of the input along ``axes``.
        mask: Zeros and ones, as many as ``prod(shape)``, for the input flattened along ``axes``.
        **kwargs: What every Keras layer takes. The mask keeps the dtype of its input.

    Input shape:
        [batch, …] with ``shape`` along ``axes``.

    Output shape:
        The input's.

    Raises:
        ValueError: ``mask`` has another length or other values, or ``axes``, ``shape`` and the input do not fit, as for
            ``gyoza.modelling.flow_layers.FlowLayer``.

    References:
        Dinh, L., Sohl-Dickstein, J. & Bengio, S. (2016) "Density estimation using Real NVP" arXiv:1605.08803

    Example:
        >>> import numpy as np
        >>> from gyoza.modelling.masks import Mask
        >>> mask = Mask(axes=[1], shape=[3], mask=[1, 0, 1])
        >>> x = np.array([[1.0, 2.0, 3.0]])
        >>> np.asarray(mask(x)).tolist(), np.asarray(mask(x, is_positive=False)).tolist()
        ([[1.0, 0.0, 3.0]], [[0.0, 2.0, 0.0]])
        >>> np.asarray(mask.arrange(x)).tolist()
        [[2.0, 1.0, 3.0]]
    """

    def __init__(self, axes: Sequence[int], shape: Sequence[int], mask: Any, **kwargs: Any) -> None:
        """Check and keep the mask."""
        super().__init__(**{"autocast": False, **kwargs})
        self._shape_, self._axes_ = check_shape_and_axes(shape, axes)
        values = np.asarray(ops.convert_to_numpy(mask), dtype="float32").reshape(-1)
        if values.size != prod(self._shape_) or not np.isin(values, (0, 1)).all():
            raise ValueError(f"mask must hold {prod(self._shape_)} zeros and ones. Received: mask={values.tolist()}")
        self._mask_ = ops.convert_to_tensor(values)

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Check that inputs have the mask's shape along its axes.

        Args:
            input_shape: The input's shape, with the batch axis.

        Raises:
            ValueError: They do not.
        """
        check_input_shape(input_shape, self._shape_, self._axes_, self.name)
        super().build(input_shape)

    def call(self, inputs: Any, is_positive: bool = True) -> Any:
        """Apply the mask.

        Args:
            inputs: [batch, …].
            is_positive: True lets pass where the mask is 1; False swaps the roles of 0 and 1.

        Returns:
            The masked inputs [batch, …].
        """
        mask = ops.reshape(self._mask_, broadcast_shape(len(inputs.shape), self._axes_, self._shape_))
        return ops.where(ops.equal(mask, 1 if is_positive else 0), inputs, ops.zeros_like(inputs))

    def arrange(self, x: Any) -> Any:
        """Flatten along the axes of the mask, the entries where it is 0 first, those where it is 1 last.

        Args:
            x: [batch, …] with ``shape`` along ``axes``.

        Returns:
            ``x`` with one axis of ``prod(shape)`` entries in the place of the first of ``axes``, and without the others.
        """
        rows = ops.take(join_axes(x, self._axes_, self._shape_), self._order(), axis=-1)
        return ops.moveaxis(rows, -1, self._axes_[0])

    def re_arrange(self, x_new: Any) -> Any:
        """Undo ``arrange``.

        Args:
            x_new: What ``arrange`` returned.

        Returns:
            What ``arrange`` was given, [batch, …].
        """
        rows = ops.moveaxis(x_new, self._axes_[0], -1)
        return split_axes(ops.take(rows, np.argsort(self._order()), axis=-1), self._axes_, self._shape_)

    def passing_entries(self, input_shape: Sequence[int]) -> NDArray[np.bool_]:
        """Return which entries of an input pass.

        Args:
            input_shape: The shape of one input, without the batch axis.

        Returns:
            [D], for the input flattened in C order.
        """
        return spread(self._passing(), self._axes_, self._shape_, input_shape)

    def get_config(self) -> dict[str, Any]:
        """Return what the constructor takes, ready for JSON."""
        mask = ops.convert_to_numpy(self._mask_).tolist()
        return {**super().get_config(), "shape": list(self._shape_), "axes": list(self._axes_), "mask": mask}

    def _passing(self) -> NDArray[np.bool_]:
        passing: NDArray[np.bool_] = ops.convert_to_numpy(self._mask_).reshape(-1) != 0
        return passing

    def _order(self) -> NDArray[np.intp]:
        return np.argsort(self._passing(), kind="stable")


@keras.saving.register_keras_serializable(package="gyoza")
class HeavisideMask(Mask):
    """A mask 0…01…1: ``D//2`` zeros, then ones, along the flattened ``axes``.

    Args:
        axes: See ``Mask``.
        shape: See ``Mask``; D is its product.
        mask: By default the one described. A config holds it, so that a saved mask never changes.
        **kwargs: What every Keras layer takes.

    Input shape:
        [batch, …] with ``shape`` along ``axes``.

    Output shape:
        The input's.

    Raises:
        ValueError: As for ``Mask``.

    References:
        Dinh, L., Krueger, D. & Bengio, Y. (2015) "NICE: Non-linear independent components estimation"
        arXiv:1410.8516

    Example:
        >>> from gyoza.modelling.masks import HeavisideMask
        >>> HeavisideMask(axes=[1], shape=[5]).get_config()["mask"]
        [0.0, 0.0, 1.0, 1.0, 1.0]
    """

    def __init__(self, axes: Sequence[int], shape: Sequence[int], mask: Any = None, **kwargs: Any) -> None:
        """Make the zeros and ones."""
        sizes, _ = check_shape_and_axes(shape, axes)
        size = prod(sizes)
        steps = np.arange(size) >= size // 2
        super().__init__(axes, shape, steps if mask is None else mask, **kwargs)


@keras.saving.register_keras_serializable(package="gyoza")
class CheckerBoardMask(Mask):
    """A checkerboard of zeros and ones along ``axes``: the parity of the sum of an entry's indices, 0 at the first.

    Args:
        axes: See ``Mask``; any number of them.
        shape: See ``Mask``.
        mask: By default the one described. A config holds it, so that a saved mask never changes.
        **kwargs: What every Keras layer takes.

    Input shape:
        [batch, …] with ``shape`` along ``axes``.

    Output shape:
        The input's.

    Raises:
        ValueError: As for ``Mask``.

    References:
        Dinh, L., Sohl-Dickstein, J. & Bengio, S. (2016) "Density estimation using Real NVP" arXiv:1605.08803

    Example:
        >>> from gyoza.modelling.masks import CheckerBoardMask
        >>> CheckerBoardMask(axes=[1, 2], shape=[2, 2]).get_config()["mask"]
        [0.0, 1.0, 1.0, 0.0]
    """

    def __init__(self, axes: Sequence[int], shape: Sequence[int], mask: Any = None, **kwargs: Any) -> None:
        """Make the zeros and ones."""
        sizes, _ = check_shape_and_axes(shape, axes)
        # One array of the board's size, not one for each axis.
        board: NDArray[np.bool_] = reduce(
            np.logical_xor, (indices % 2 == 1 for indices in np.indices(sizes, sparse=True))
        )
        super().__init__(axes, shape, board if mask is None else mask, **kwargs)
