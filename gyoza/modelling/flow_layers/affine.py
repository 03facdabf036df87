"""The affine coupling: half of the entries decides how the other half is shifted and scaled."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from gyoza.inference import plan
from gyoza.modelling.flow_layers.coupling import LAW, Coupling, check_parameters, check_stacked
from gyoza.modelling.flow_layers.lowering import inherits
from gyoza.modelling.masks import Mask

__all__ = ["AffineCoupling"]


@keras.saving.register_keras_serializable(package="gyoza")
class AffineCoupling(Coupling):
    r"""A coupling with the law :math:`y = x \exp(\sigma) + t`.

    The log-scale is bounded smoothly, :math:`\sigma = b \tanh(s / b)`, so that no network output makes the layer
    explode: near 0 it is s itself, and it never leaves (−b, b). The logdet is the sum of σ over the transformed entries.

    Args:
        shape: See ``FlowLayer``.
        axes: See ``FlowLayer``.
        compute_coupling_parameters: See ``Coupling``; its output is either a list or tuple of the shift t and the raw
            log-scale s, each of the shape of the layer's input (or one that broadcasts to it), or one tensor whose last
            axis is twice as long as the input's: first t, then s.
        mask: See ``Coupling``.
        log_scale_bound: The bound b, above 0.
        **kwargs: What every Keras layer takes.

    Input shape:
        [batch, …] with ``shape`` along ``axes``.

    Output shape:
        The input's, and [batch] for the logdet.

    Raises:
        ValueError: ``log_scale_bound`` is not a finite number above 0, or as for ``Coupling``.

    References:
        Dinh, L., Sohl-Dickstein, J. & Bengio, S. (2016) "Density estimation using Real NVP" arXiv:1605.08803

    Example:
        >>> import numpy as np
        >>> from gyoza.modelling.flow_layers import AffineCoupling
        >>> from gyoza.modelling.masks import CheckerBoardMask
        >>> from gyoza.modelling.networks import convolutional_network
        >>> at = {"shape": [8, 8], "axes": [1, 2]}
        >>> network = convolutional_network(3, 2)
        >>> layer = AffineCoupling(**at, compute_coupling_parameters=network, mask=CheckerBoardMask(**at))
        >>> outputs, logdet = layer(np.ones((2, 8, 8, 3)))
        >>> tuple(outputs.shape), tuple(logdet.shape)
        ((2, 8, 8, 3), (2,))
    """

    _parameter_count_ = 2

    def __init__(
        self,
        shape: Sequence[int],
        axes: Sequence[int],
        compute_coupling_parameters: Any,
        mask: Mask,
        log_scale_bound: float = 1.5,
        **kwargs: Any,
    ) -> None:
        """Check and keep the bound."""
        super().__init__(shape, axes, compute_coupling_parameters, mask, **kwargs)
        if not 0 < log_scale_bound < float("inf"):
            raise ValueError(f"log_scale_bound must be finite and above 0. Received: log_scale_bound={log_scale_bound}")
        self._log_scale_bound_ = float(log_scale_bound)

    def _couple_(self, inputs: Any, coupling_parameters: Any) -> Any:
        """Return ``inputs`` · exp(σ) + t, [batch, …]."""
        shift, log_scale = self._shift_and_log_scale(coupling_parameters)
        return inputs * ops.exp(log_scale) + shift

    def _decouple_(self, outputs: Any, coupling_parameters: Any) -> Any:
        """Return (``outputs`` − t) · exp(−σ), [batch, …]."""
        shift, log_scale = self._shift_and_log_scale(coupling_parameters)
        return (outputs - shift) * ops.exp(-log_scale)

    def compute_jacobian_determinant(self, x: Any) -> Any:
        """Return the sum of σ over the transformed entries; this runs the network.

        Args:
            x: The input of ``call``, [batch, …].

        Returns:
            log|det J| [batch].
        """
        inputs = self._prepare(x)
        return self._sum_log_scale(inputs, self._coupling_parameters(inputs))

    def _compute_logdet_(self, inputs: Any, coupling_parameters: Any) -> Any:
        """Return the sum of σ over the transformed entries, [batch], without another run of the network."""
        if not inherits(self, AffineCoupling, ["compute_jacobian_determinant"]):
            return super()._compute_logdet_(inputs, coupling_parameters)
        return self._sum_log_scale(inputs, coupling_parameters)

    def _check_parameters_(self, parameters: Any, input_shape: tuple[int | None, ...]) -> None:
        """Check that the network gives a shift and a log-scale that fit the input."""
        if isinstance(parameters, (list, tuple)):
            check_parameters(parameters, input_shape, self.name, count=2)
        else:
            check_stacked(parameters, input_shape, self.name, count=2)

    def _split_parameters_(self, coupling_parameters: Any) -> tuple[Any, ...]:
        """Return the shift and the raw log-scale."""
        if isinstance(coupling_parameters, (list, tuple)):
            return tuple(coupling_parameters)
        return tuple(ops.split(coupling_parameters, 2, axis=-1))

    def _plan_law_(self) -> plan.Law | None:
        """Return the plan's bounded affine law, unless a subclass changes it."""
        own = inherits(self, AffineCoupling, (*LAW, "_shift_and_log_scale"))
        return plan.BoundedAffine(self._log_scale_bound_) if own else None

    def get_config(self) -> dict[str, Any]:
        """Return what the constructor takes, ready for JSON."""
        return {**super().get_config(), "log_scale_bound": self._log_scale_bound_}

    def _shift_and_log_scale(self, coupling_parameters: Any) -> tuple[Any, Any]:
        shift, raw = self._split_parameters_(coupling_parameters)
        return shift, self._log_scale_bound_ * ops.tanh(raw / self._log_scale_bound_)

    def _sum_log_scale(self, inputs: Any, coupling_parameters: Any) -> Any:
        _, log_scale = self._shift_and_log_scale(coupling_parameters)
        transformed = self._mask_.call(ops.zeros_like(inputs) + log_scale, is_positive=False)
        return ops.sum(transformed, axis=tuple(range(1, len(inputs.shape))))
