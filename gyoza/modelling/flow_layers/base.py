"""The base class of all flow layers."""

from collections.abc import Sequence
from inspect import signature
from typing import Any

import keras
import numpy as np

from gyoza.inference.plan import Step
from gyoza.modelling.axes import as_floats, check_input_shape, check_shape_and_axes, zeros_per_row
from gyoza.modelling.flow_layers.lowering import opaque

__all__ = ["LARGEST_SEED", "FlowLayer", "VolumePreserving", "accepts_training", "draw_seed"]

LARGEST_SEED = 2**31 - 1


@keras.saving.register_keras_serializable(package="gyoza")
class FlowLayer(keras.layers.Layer):
    """Base class of invertible layers that know the determinant of their Jacobian.

    A subclass implements ``call``, ``invert`` and ``compute_jacobian_determinant``, and may bring its own ``lower``.

    Args:
        shape: The sizes of the input along ``axes``. To transform width and height of a tensor [batch, width, height,
            color], give [width, height]; to transform the colors, give [color].
        axes: The axes along which the layer acts, here [1, 2] or [3]: ascending, without the batch axis 0, not
            necessarily contiguous. The same transformation sweeps over all other axes.
        **kwargs: What every Keras layer takes (``name``, ``dtype``, ``trainable``).

    Input shape:
        [batch, …] with ``shape`` along ``axes``.

    Output shape:
        The input's, and [batch] for the logarithm of the absolute Jacobian determinant.

    Raises:
        ValueError: ``axes`` are not ascending from 1 on, ``shape`` has another length or an entry below 1, or an input
            does not have this shape along these axes.

    References:
        Dinh, L., Krueger, D. & Bengio, Y. (2015) "NICE: Non-linear independent components estimation"
        arXiv:1410.8516

        Dinh, L., Sohl-Dickstein, J. & Bengio, S. (2016) "Density estimation using Real NVP" arXiv:1605.08803

        Kingma, D. P. & Dhariwal, P. (2018) "Glow: Generative flow with invertible 1x1 convolutions" arXiv:1807.03039

    Example:
        >>> import keras
        >>> import numpy as np
        >>> from gyoza.modelling.flow_layers import FlowLayer
        >>> class Softening(FlowLayer):
        ...     def call(self, inputs):
        ...         return keras.ops.arcsinh(inputs), self.compute_jacobian_determinant(inputs)
        ...     def invert(self, outputs):
        ...         return keras.ops.sinh(outputs)
        ...     def compute_jacobian_determinant(self, x):
        ...         return -0.5 * keras.ops.sum(keras.ops.log1p(x * x), axis=-1)
        >>> layer = Softening(shape=[2], axes=[1])
        >>> outputs, logdet = layer(np.array([[0.0, 1.0]]))
        >>> np.asarray(layer.invert(outputs)).round(4).tolist(), round(float(logdet[0]), 4)
        ([[0.0, 1.0]], -0.3466)
    """

    def __init__(self, shape: Sequence[int], axes: Sequence[int], **kwargs: Any) -> None:
        """Check and keep the shape and the axes."""
        super().__init__(**kwargs)
        self._shape_, self._axes_ = check_shape_and_axes(shape, axes)

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Check that inputs have the layer's shape along its axes.

        Args:
            input_shape: The input's shape, with the batch axis.

        Raises:
            ValueError: They do not.
        """
        check_input_shape(input_shape, self._shape_, self._axes_, self.name)
        super().build(input_shape)

    def compute_output_shape(
        self, input_shape: Sequence[int | None]
    ) -> tuple[tuple[int | None, ...], tuple[int | None]]:
        """Return the shapes of the two outputs of ``call`` for an input's shape, all with the batch axis.

        Raises:
            ValueError: The input does not have the layer's shape along its axes.
        """
        check_input_shape(input_shape, self._shape_, self._axes_, self.name)
        return tuple(input_shape), (input_shape[0],)

    def call(self, inputs: Any) -> tuple[Any, Any]:
        """Map data towards codes.

        Args:
            inputs: [batch, …].

        Returns:
            The outputs [batch, …] and log|det J| [batch].

        Raises:
            NotImplementedError: The subclass does not implement it.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement call(inputs)")

    def invert(self, outputs: Any) -> Any:
        """Undo ``call``: map its outputs [batch, …] back to its inputs [batch, …].

        Args:
            outputs: [batch, …], in the form of ``call``'s first output.

        Returns:
            The inputs [batch, …].

        Raises:
            NotImplementedError: The subclass does not implement it.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement invert(outputs)")

    def compute_jacobian_determinant(self, x: Any) -> Any:
        """Compute the logarithm of the absolute Jacobian determinant of ``call`` at ``x``.

        Args:
            x: The input of ``call``, [batch, …].

        Returns:
            log|det J| [batch].

        Raises:
            NotImplementedError: The subclass does not implement it.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement compute_jacobian_determinant(x)")

    def lower(self, input_shape: Sequence[int]) -> tuple[Step, ...]:
        """Lower the built layer to steps of a plan; here to one that calls the layer.

        Args:
            input_shape: The shape of one input, without the batch axis.

        Returns:
            The steps, which act on the input flattened in C order.
        """
        output_shape: Any = self.compute_output_shape((None, *input_shape))[0]
        return (opaque(self, tuple(input_shape), output_shape[1:], self.compute_dtype),)

    def get_config(self) -> dict[str, Any]:
        """Return what the constructor takes, ready for JSON."""
        return {**super().get_config(), "shape": list(self._shape_), "axes": list(self._axes_)}

    def _prepare(self, x: Any) -> Any:
        """Return data [batch, …] as a tensor of the layer's compute dtype, after a check of its shape."""
        tensor = as_floats(x, self.compute_dtype)
        check_input_shape(tensor.shape, self._shape_, self._axes_, self.name)
        return tensor


class VolumePreserving(FlowLayer):
    """A flow layer whose Jacobian determinant is 1 everywhere, or −1."""

    def compute_jacobian_determinant(self, x: Any) -> Any:
        """Return zeros [batch]: the layer preserves volume.

        Args:
            x: The input of ``call``, [batch, …].

        Returns:
            log|det J| = 0 for each row, [batch].
        """
        return zeros_per_row(self._prepare(x))


def accepts_training(layer: Any) -> bool:
    """Whether a layer's ``call`` takes the keyword ``training``."""
    parameters = signature(layer.call).parameters.values()
    return any(p.name == "training" or p.kind is p.VAR_KEYWORD for p in parameters)


def draw_seed() -> int:
    """Draw a seed from NumPy's global generator, the one that ``keras.utils.set_random_seed`` seeds."""
    return int(np.random.randint(LARGEST_SEED))
