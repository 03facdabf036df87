"""Layers that only rearrange their input: another shape, the same entries."""

from collections.abc import Sequence
from math import prod
from typing import Any

import keras
import numpy as np
from keras import ops

from gyoza.inference.plan import Gather, Step
from gyoza.modelling.axes import as_floats, as_integers, check_input_shape, known_sizes
from gyoza.modelling.flow_layers.base import VolumePreserving
from gyoza.modelling.flow_layers.lowering import inherits

__all__ = ["Flatten", "Rearrangement", "Reshape", "Squeeze"]


class Rearrangement(VolumePreserving):
    """Base class of layers that put the entries of their input into another shape.

    A subclass sets ``_output_shape_`` and ``_output_axes_`` in its constructor (what an output's shape is along which
    axes), and implements ``compute_output_shape``, ``_rearrange`` and ``_restore``.
    """

    _output_shape_: list[int]
    _output_axes_: list[int]

    def call(self, inputs: Any) -> tuple[Any, Any]:
        """Rearrange the entries.

        Args:
            inputs: [batch, …].

        Returns:
            The same entries in the output's shape, [batch, …], and log|det J| = 0 [batch].
        """
        x = self._prepare(inputs)
        return self._rearrange(x), self.compute_jacobian_determinant(x)

    def invert(self, outputs: Any) -> Any:
        """Undo ``call``: map its outputs [batch, …] back to its inputs [batch, …]."""
        y = as_floats(outputs, self.compute_dtype)
        check_input_shape(y.shape, self._output_shape_, self._output_axes_, f"{self.name}.invert")
        return self._restore(y)

    def lower(self, input_shape: Sequence[int]) -> tuple[Step, ...]:
        """Lower to one ``Gather``, or to no step where all entries stay in order; see ``FlowLayer.lower``."""
        if not inherits(self, Rearrangement, ["call", "invert", "compute_jacobian_determinant"]):
            return super().lower(input_shape)
        places = np.arange(prod(input_shape), dtype="int32")
        moved = self._rearrange(ops.convert_to_tensor(places.reshape(1, *input_shape)))
        indices = ops.convert_to_numpy(moved).reshape(-1).astype(np.intp)
        return () if np.array_equal(indices, places) else (Gather(indices),)

    def _rearrange(self, x: Any) -> Any:
        """Map inputs [batch, …] of any dtype to outputs [batch, …]."""
        raise NotImplementedError(f"{type(self).__name__} must implement _rearrange(x)")

    def _restore(self, y: Any) -> Any:
        """Undo ``_rearrange``."""
        raise NotImplementedError(f"{type(self).__name__} must implement _restore(y)")


@keras.saving.register_keras_serializable(package="gyoza")
class Reshape(Rearrangement):
    """Give the axes ``axes`` another shape of as many entries; the order of the entries (C order) stays.

    Args:
        shape: See ``FlowLayer``.
        axes: See ``FlowLayer``; here one after the other, such as [2, 3].
        target_shape: The sizes that take the place of ``shape``, as many entries in all.
        **kwargs: What every Keras layer takes.

    Input shape:
        [batch, …] with ``shape`` along ``axes``.

    Output shape:
        The input's with ``target_shape`` in the place of ``shape``, and [batch] for the logdet, which is 0.

    Raises:
        ValueError: ``axes`` are not consecutive, ``target_shape`` has another number of entries, or as for ``FlowLayer``.
        TypeError: ``target_shape`` holds something else than integers.

    References:
        Dinh, L., Sohl-Dickstein, J. & Bengio, S. (2016) "Density estimation using Real NVP" arXiv:1605.08803

    Example:
        >>> import numpy as np
        >>> from gyoza.modelling.flow_layers import Reshape
        >>> outputs, _ = Reshape(shape=[6], axes=[1], target_shape=[2, 3])(np.zeros((4, 6)))
        >>> tuple(outputs.shape)
        (4, 2, 3)
    """

    def __init__(self, shape: Sequence[int], axes: Sequence[int], target_shape: Sequence[int], **kwargs: Any) -> None:
        """Check that the shapes hold the same entries."""
        super().__init__(shape, axes, **kwargs)
        self._output_shape_ = as_integers(target_shape, "target_shape")
        self._output_axes_ = [self._axes_[0] + place for place in range(len(self._output_shape_))]
        if self._axes_ != list(range(self._axes_[0], self._axes_[0] + len(self._axes_))):
            raise ValueError(f"axes must follow each other without a gap. Received: axes={self._axes_}")
        if min(self._output_shape_, default=0) < 1 or prod(self._output_shape_) != prod(self._shape_):
            raise ValueError(
                f"target_shape must hold {prod(self._shape_)} entries, as shape={self._shape_} does. "
                f"Received: target_shape={self._output_shape_}"
            )

    def compute_output_shape(
        self, input_shape: Sequence[int | None]
    ) -> tuple[tuple[int | None, ...], tuple[int | None]]:
        """Return the shapes of the two outputs of ``call`` for an input's shape, all with the batch axis."""
        before, behind = input_shape[: self._axes_[0]], input_shape[self._axes_[-1] + 1 :]
        return (*before, *self._output_shape_, *behind), (input_shape[0],)

    def get_config(self) -> dict[str, Any]:
        """Return what the constructor takes, ready for JSON."""
        return {**super().get_config(), "target_shape": list(self._output_shape_)}

    def _rearrange(self, x: Any) -> Any:
        return with_sizes(x, self._axes_, self._output_shape_)

    def _restore(self, y: Any) -> Any:
        return with_sizes(y, self._output_axes_, self._shape_)


@keras.saving.register_keras_serializable(package="gyoza")
class Flatten(Reshape):
    """Make one axis of the axes ``axes``, in C order: what turns image-shaped latents into codes [batch, D].

    Args:
        shape: See ``FlowLayer``.
        axes: See ``FlowLayer``; here one after the other, such as [1, 2, 3].
        **kwargs: What every Keras layer takes.

    Input shape:
        [batch, …] with ``shape`` along ``axes``.

    Output shape:
        The input's with one axis of ``prod(shape)`` entries in the place of ``axes``, and [batch] for the logdet, which
        is 0.

    Raises:
        ValueError: As for ``Reshape``.

    References:
        Dinh, L., Sohl-Dickstein, J. & Bengio, S. (2016) "Density estimation using Real NVP" arXiv:1605.08803

    Example:
        >>> import numpy as np
        >>> from gyoza.modelling.flow_layers import Flatten
        >>> outputs, _ = Flatten(shape=[8, 8, 3], axes=[1, 2, 3])(np.zeros((4, 8, 8, 3)))
        >>> tuple(outputs.shape)
        (4, 192)
    """

    def __init__(self, shape: Sequence[int], axes: Sequence[int], **kwargs: Any) -> None:
        """Reshape to one axis."""
        super().__init__(shape, axes, [prod(shape)], **kwargs)

    def get_config(self) -> dict[str, Any]:
        """Return what the constructor takes, ready for JSON."""
        return {key: value for key, value in super().get_config().items() if key != "target_shape"}


@keras.saving.register_keras_serializable(package="gyoza")
class Squeeze(Rearrangement):
    """Move blocks of neighbouring entries along ``axes`` into the channels, the last axis (space to depth).

    An image [batch, height, width, channels] becomes [batch, height / 2, width / 2, 4 · channels] with a factor of 2: a
    coupling or a linear layer on the channels then sees the neighbourhood of a pixel. In the new channels the old ones
    are fastest, then the place within the block along the last of ``axes``.

    Args:
        shape: See ``FlowLayer``; multiples of ``factor``.
        axes: See ``FlowLayer``; the last axis of the input, its channels, is not among them.
        factor: How long a block is along each of the axes, at least 2.
        **kwargs: What every Keras layer takes.

    Input shape:
        [batch, …, channels] with ``shape`` along ``axes``.

    Output shape:
        [batch, …, channels · factor^k] with ``shape`` / ``factor`` along the k ``axes``, and [batch] for the logdet,
        which is 0.

    Raises:
        ValueError: ``factor`` is below 2, ``shape`` is no multiple of it, the input has no axis behind ``axes``, or as
            for ``FlowLayer``.
        TypeError: ``factor`` is no integer.

    References:
        Dinh, L., Sohl-Dickstein, J. & Bengio, S. (2016) "Density estimation using Real NVP" arXiv:1605.08803

    Example:
        >>> import numpy as np
        >>> from gyoza.modelling.flow_layers import Squeeze
        >>> outputs, _ = Squeeze(shape=[8, 8], axes=[1, 2])(np.zeros((4, 8, 8, 3)))
        >>> tuple(outputs.shape)
        (4, 4, 4, 12)
    """

    def __init__(self, shape: Sequence[int], axes: Sequence[int], factor: int = 2, **kwargs: Any) -> None:
        """Check that the blocks fit."""
        super().__init__(shape, axes, **kwargs)
        (self._factor_,) = as_integers([factor], "factor")
        if self._factor_ < 2 or any(size % self._factor_ for size in self._shape_):
            raise ValueError(
                f"factor must be at least 2 and divide each size of shape={self._shape_}. Received: factor={factor}"
            )
        self._output_shape_ = [size // self._factor_ for size in self._shape_]
        self._output_axes_ = self._axes_

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Check that inputs have the layer's shape along its axes, and channels behind these.

        Args:
            input_shape: The input's shape, with the batch axis.

        Raises:
            ValueError: They do not.
        """
        super().build(input_shape)
        if len(input_shape) - 1 in self._axes_:
            raise ValueError(
                f"The input of {self.name} must have a last axis of channels behind the axes {list(self._axes_)}; "
                f"Reshape gives it one. Received: shape={tuple(input_shape)}"
            )

    def compute_output_shape(
        self, input_shape: Sequence[int | None]
    ) -> tuple[tuple[int | None, ...], tuple[int | None]]:
        """Return the shapes of the two outputs of ``call`` for an input's shape, all with the batch axis."""
        sizes = dict(zip(self._axes_, self._output_shape_, strict=True))
        channels = None if input_shape[-1] is None else input_shape[-1] * self._block_size()
        kept = [sizes.get(axis, size) for axis, size in enumerate(input_shape[:-1])]
        return (*kept, channels), (input_shape[0],)

    def get_config(self) -> dict[str, Any]:
        """Return what the constructor takes, ready for JSON."""
        return {**super().get_config(), "factor": self._factor_}

    def _rearrange(self, x: Any) -> Any:
        sizes = known_sizes(x)
        split, order = self._blocks(sizes)
        moved = ops.transpose(ops.reshape(x, split), order)
        return ops.reshape(moved, [*self._scaled(sizes[:-1], inverse=False), sizes[-1] * self._block_size()])

    def _restore(self, y: Any) -> Any:
        channels, size = y.shape[-1], self._block_size()
        if channels is not None and channels % size:
            raise ValueError(
                f"The input of {self.name}.invert must have a multiple of {size} channels. Received: shape={tuple(y.shape)}"
            )
        kept = known_sizes(y)
        sizes = [*self._scaled(kept[:-1], inverse=True), kept[-1] // size]
        split, order = self._blocks(sizes)
        moved = ops.reshape(y, [split[place] for place in order])
        return ops.reshape(ops.transpose(moved, np.argsort(order).tolist()), sizes)

    def _block_size(self) -> int:
        return int(self._factor_ ** len(self._axes_))

    def _scaled(self, sizes: Sequence[Any], inverse: bool) -> list[Any]:
        """Return sizes of which those along the layer's axes are those of its output, or (``inverse``) of its input."""
        along = dict(zip(self._axes_, self._shape_ if inverse else self._output_shape_, strict=True))
        return [along.get(axis, size) for axis, size in enumerate(sizes)]

    def _blocks(self, sizes: Sequence[Any]) -> tuple[list[Any], list[int]]:
        """Return the input's sizes, each of the layer's as blocks and what is in one, and the order of the output's."""
        split: list[Any] = []
        within: list[int] = []
        for axis, size in enumerate(sizes):
            split += [size // self._factor_, self._factor_] if axis in self._axes_ else [size]
            within += [len(split) - 1] if axis in self._axes_ else []
        outside = [place for place in range(len(split) - 1) if place not in within]
        return split, [*outside, *within, len(split) - 1]


def with_sizes(x: Any, axes: Sequence[int], sizes: Sequence[int]) -> Any:
    """Reshape a tensor [batch, …] such that consecutive axes have other sizes."""
    known = known_sizes(x)
    return ops.reshape(x, [*known[: axes[0]], *sizes, *known[axes[-1] + 1 :]])
