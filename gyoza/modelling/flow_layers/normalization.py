"""Activation normalization: a location and a scale for each entry along the axes."""

import warnings
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from gyoza.inference.plan import Affine, Step
from gyoza.modelling.axes import broadcast_shape, concrete, places_per_row, spread
from gyoza.modelling.backend import assigns_in_traces
from gyoza.modelling.flow_layers.base import FlowLayer
from gyoza.modelling.flow_layers.lowering import inherits

__all__ = ["ActivationNormalization"]

SMALLEST_SCALE = 1e-6
MOST_NAMED = 10
"""How many constant entries a warning lists."""


@keras.saving.register_keras_serializable(package="gyoza")
class ActivationNormalization(FlowLayer):
    r"""Shift and scale: :math:`y = (x - l) / s` with a trained location l and scale s > 0.

    There is one location and one scale for each entry along ``axes``; they sweep over all other axes. With axes [1, 2]
    of an input [batch, width, height, channels], each pixel has its own, the same for all its channels.

    Both are initialised from the first batch that is seen with ``training=True``, such that its outputs have mean 0 and
    variance 1 (a constant entry gets the smallest scale, 1e-6, of which ``lower`` warns, and so does an initialisation
    that is not traced; values that are not finite leave l = 0, s = 1). The flag
    ``_initialized_`` is saved with the layer, so this happens once in its life; weights that were saved without the flag
    count as initialised, and a layer that is not trainable is never initialised. On JAX, compiled code can't do it: call
    the flow once on a batch with ``training=True`` before ``fit``, which warns where that was forgotten.

    Args:
        shape: See ``FlowLayer``.
        axes: See ``FlowLayer``.
        **kwargs: What every Keras layer takes.

    Input shape:
        [batch, …] with ``shape`` along ``axes``.

    Output shape:
        The input's, and [batch] for the logdet.

    Raises:
        ValueError: As for ``FlowLayer``.

    References:
        Kingma, D. P. & Dhariwal, P. (2018) "Glow: Generative flow with invertible 1x1 convolutions" arXiv:1807.03039

        Sankar, A. et al. (2021) "GLOWin: A flow-based invertible generative framework for learning disentangled feature
        representations in medical images" arXiv:2103.10868

        Esser, P., Rombach, R. & Ommer, B. (2020) "A disentangling invertible interpretation network for explaining
        latent representations" arXiv:2004.13166

    Example:
        >>> import numpy as np
        >>> from gyoza.modelling.flow_layers import ActivationNormalization
        >>> layer = ActivationNormalization(shape=[2], axes=[1])
        >>> outputs, logdet = layer(np.array([[1.0, 10.0], [3.0, 30.0]]), training=True)
        >>> np.asarray(outputs).round(4).tolist()
        [[-1.0, -1.0], [1.0, 1.0]]
        >>> np.asarray(layer.invert(outputs)).round(4).tolist()
        [[1.0, 10.0], [3.0, 30.0]]
    """

    @keras.saving.register_keras_serializable(package="gyoza")
    class _PositiveConstraint_(keras.constraints.Constraint):  # noqa: N801 - the name that files hold
        """Keep a scale positive: the absolute value, at least 1e-6.

        A step that overshoots below 0 is mirrored, not clipped, so the next steps can undo it.
        """

        def __call__(self, w: Any) -> Any:
            """Return the nearest scale that is allowed, of the shape of ``w``."""
            return ops.maximum(ops.abs(w), SMALLEST_SCALE)

    def __init__(self, shape: Sequence[int], axes: Sequence[int], **kwargs: Any) -> None:
        """Make the variables: location 0, scale 1, not initialised from data."""
        super().__init__(shape, axes, **kwargs)
        # Not cast for the layer: what half precision computes with must never be written back to the variables.
        self._location_ = self.add_weight(shape=self._shape_, initializer="zeros", autocast=False, name="location")
        self._scale_ = self.add_weight(
            shape=self._shape_,
            initializer="ones",
            constraint=self._PositiveConstraint_(),
            autocast=False,
            name="scale",
        )
        self._initialized_ = self.add_weight(
            shape=(), dtype="bool", initializer="zeros", trainable=False, name="initialized"
        )

    def call(self, inputs: Any, training: bool | None = None) -> tuple[Any, Any]:
        """Shift and scale.

        Args:
            inputs: [batch, …].
            training: True initialises location and scale from the inputs, if that has not been done.

        Returns:
            The outputs [batch, …] and log|det J| [batch].
        """
        x = self._prepare(inputs)
        if training and self.trainable:
            self._initialize(x)
        location, scale = self._prepare_variables_for_computation_(x)
        return (x - location) / scale, self.compute_jacobian_determinant(x)

    def invert(self, outputs: Any) -> Any:
        """Undo ``call``: map its outputs [batch, …] back to its inputs [batch, …]."""
        y = self._prepare(outputs)
        location, scale = self._prepare_variables_for_computation_(y)
        return y * scale + location

    def compute_jacobian_determinant(self, x: Any) -> Any:
        """Return −Σ ln s, times the number of entries that share each scale.

        Args:
            x: The input of ``call``, [batch, …].

        Returns:
            log|det J| [batch].
        """
        count = places_per_row(self._prepare(x), self._axes_, self.variable_dtype)
        return ops.cast(-count * ops.sum(ops.log(ops.abs(self._scale_))), self.compute_dtype)

    def lower(self, input_shape: Sequence[int]) -> tuple[Step, ...]:
        """Lower to one ``Affine``; see ``FlowLayer.lower``."""
        methods = ["call", "invert", "compute_jacobian_determinant", "_prepare_variables_for_computation_"]
        if not inherits(self, ActivationNormalization, methods):
            return super().lower(input_shape)
        variables = [ops.convert_to_numpy(variable).astype(np.float64) for variable in (self._location_, self._scale_)]
        self._name_constants(variables[1])
        location, scale = (spread(values, self._axes_, self._shape_, input_shape) for values in variables)
        return (Affine(1 / scale, location),)

    def load_own_variables(self, store: Any) -> None:
        """Read the variables; a store that holds no flag was written by a layer without one, which was initialised."""
        if len(store.keys()) == 2:
            self._location_.assign(store["0"])
            self._scale_.assign(store["1"])
            self._initialized_.assign(True)
        else:
            super().load_own_variables(store)

    def _prepare_variables_for_computation_(self, x: Any) -> tuple[Any, Any]:
        """Shape the variables to fit an input.

        Args:
            x: The input of ``call``, [batch, …].

        Returns:
            Location and scale, each with the layer's shape along its axes and 1 along the others.
        """
        shape = broadcast_shape(len(x.shape), self._axes_, self._shape_)
        location, scale = (ops.cast(variable, self.compute_dtype) for variable in (self._location_, self._scale_))
        return ops.reshape(location, shape), ops.reshape(scale, shape)

    def _initialize(self, x: Any) -> None:
        location, scale = self._moments(x)
        values = concrete(scale)
        if values is None and not assigns_in_traces():
            return
        if values is not None and not ops.convert_to_numpy(self._initialized_):
            self._name_constants(values)
        known = ops.convert_to_tensor(self._initialized_)
        for variable, value in ((self._location_, location), (self._scale_, scale)):
            variable.assign(ops.where(known, ops.convert_to_tensor(variable), value))
        self._initialized_.assign(True)

    def _name_constants(self, scale: np.ndarray[Any, Any]) -> None:
        """Warn of entries whose ``scale`` is the smallest: whatever noise they ever show is multiplied by 1/1e-6."""
        # Of the scale as it is stored: the smallest one, rounded to the variable's dtype.
        places = np.argwhere(scale <= SMALLEST_SCALE * 1.05).tolist()
        if places:
            warnings.warn(
                f"{self.name} has entries of the smallest scale, {SMALLEST_SCALE}, which constant ones get: whatever "
                "differs from their location is blown up; leave them out of the latents. Received: "
                f"{len(places)} constant entries, at {places[:MOST_NAMED]}{' …' if len(places) > MOST_NAMED else ''}",
                UserWarning,
                stacklevel=2,
            )

    def _moments(self, x: Any) -> tuple[Any, Any]:
        """Return the mean and the standard deviation of ``x`` over all axes but the layer's, floored and finite."""
        others = [axis for axis in range(len(x.shape)) if axis not in self._axes_]
        mean, variance = ops.moments(ops.cast(x, self.variable_dtype), axes=others)
        deviation = ops.maximum(ops.sqrt(variance), SMALLEST_SCALE)
        finite = ops.isfinite(mean) & ops.isfinite(deviation)
        location = ops.where(finite, mean, ops.zeros_like(mean))
        scale = ops.where(finite, deviation, ops.ones_like(deviation))
        return ops.stop_gradient(location), ops.stop_gradient(scale)
