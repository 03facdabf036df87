"""Losses for flows."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from gyoza.modelling.axes import as_integers

__all__ = ["SupervisedFactorLoss"]

LARGEST_CORRELATION = 0.9999
"""To what ``SupervisedFactorLoss`` clips correlations, of either sign."""


@keras.saving.register_keras_serializable(package="gyoza")
class SupervisedFactorLoss(keras.losses.Loss):
    r"""Arrange the codes of a flow into factors, from pairs of known similarity along each.

    For a pair with codes a and b and correlations :math:`\sigma_k` along the factors k, the loss is

    .. math::
        \frac{1}{2} |a|^2 - \log|T'(z^a)| - \log|T'(z^b)|
        + \frac{1}{2} \sum_k \frac{|b_k - \sigma_k a_k|^2}{1 - \sigma_k^2},

    the negative log density of the pair where each entry of factor k is standard normal in a and in b, correlated by
    :math:`\sigma_k`, up to :math:`D \log 2\pi + \frac{1}{2} \sum_k N_k \log(1 - \sigma_k^2)`, which does not depend on
    the flow (D entries in all, :math:`N_k` in factor k).

    Args:
        dimensions_per_factor: The number of entries of each factor, in the order of the code, the residual factor first.
        name: Of the loss.
        reduction: How Keras reduces the values [batch] of the pairs.
        dtype: What to compute in; see ``keras.losses.Loss``.

    Attributes:
        __factor_masks__: [factor-count, D], 1 where an entry of the code belongs to the factor.

    Raises:
        ValueError: There is no factor, or one of them has less than 1 entry.
        TypeError: A number of entries is no integer.

    References:
        Esser, P., Rombach, R. & Ommer, B. (2020) "A disentangling invertible interpretation network for explaining
        latent representations" arXiv:2004.13166

    Example:
        >>> import numpy as np
        >>> from gyoza.modelling.losses import SupervisedFactorLoss
        >>> loss = SupervisedFactorLoss([1, 1])
        >>> codes_and_logdets = np.array([[1.0, 2.0, 1.0, 2.0, 0.0, 0.0]])  # a, b, and the two logdets
        >>> apart, alike = (float(loss(np.array([[0.0, r]]), codes_and_logdets)) for r in (0.0, 0.9))
        >>> round(apart, 4), round(alike, 4)
        (5.0, 3.1053)
    """

    def __init__(
        self,
        dimensions_per_factor: Sequence[int],
        name: str = "supervised_factor_loss",
        reduction: str = "sum_over_batch_size",
        dtype: Any = None,
    ) -> None:
        """Make the factor masks."""
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        sizes = as_integers(dimensions_per_factor, "dimensions_per_factor")
        if not sizes or min(sizes) < 1:
            raise ValueError(
                "dimensions_per_factor must hold the size of each factor, at least 1. "
                f"Received: dimensions_per_factor={sizes}"
            )
        self._dimensions_per_factor_ = sizes
        self.__factor_masks__ = ops.convert_to_tensor(np.repeat(np.eye(len(sizes), dtype="float32"), sizes, axis=1))

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Compute the loss of each pair.

        Args:
            y_true: [batch, factor-count], the correlation of each pair along each factor, in [0, 1]; the residual
                factor's, at index 0, is 0 as a rule. Values are clipped to ±0.9999, for the loss is infinite at 1.
            y_pred: [batch, 2·D + 2]: the codes of a and of b, and the two logdets.

        Returns:
            The loss [batch].

        Raises:
            ValueError: A shape does not fit the factors.
        """
        masks = ops.cast(self.__factor_masks__, y_pred.dtype)
        count, size = masks.shape
        self._check_shape("y_true", y_true, count)
        self._check_shape("y_pred", y_pred, 2 * size + 2)
        limit = LARGEST_CORRELATION
        sigma = ops.matmul(ops.clip(ops.cast(y_true, y_pred.dtype), -limit, limit), masks)
        a, b = y_pred[:, :size], y_pred[:, size : 2 * size]
        quadratic = a * a + (b - sigma * a) ** 2 / ((1 - sigma) * (1 + sigma))
        return 0.5 * ops.sum(quadratic, axis=-1) - y_pred[:, -2] - y_pred[:, -1]

    def get_config(self) -> dict[str, Any]:
        """Return what the constructor takes, ready for JSON."""
        sizes = list(self._dimensions_per_factor_)
        return {**super().get_config(), "dimensions_per_factor": sizes, "dtype": self.dtype}

    def _check_shape(self, argument: str, tensor: Any, size: int) -> None:
        if len(tensor.shape) != 2 or tensor.shape[1] not in (None, size):
            raise ValueError(
                f"{argument} must have the shape [batch, {size}] for dimensions_per_factor="
                f"{self._dimensions_per_factor_}. Received: {argument}.shape={tuple(tensor.shape)}"
            )
