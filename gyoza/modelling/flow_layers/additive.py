"""The additive coupling: half of the entries decides by how much the other half is shifted."""

from typing import Any

import keras

from gyoza.inference import plan
from gyoza.modelling.axes import zeros_per_row
from gyoza.modelling.flow_layers.coupling import LAW, Coupling, check_parameters
from gyoza.modelling.flow_layers.lowering import inherits

__all__ = ["AdditiveCoupling"]


@keras.saving.register_keras_serializable(package="gyoza")
class AdditiveCoupling(Coupling):
    r"""A coupling with the law :math:`y = x + t`, which preserves volume.

    Args:
        shape: See ``FlowLayer``.
        axes: See ``FlowLayer``.
        compute_coupling_parameters: See ``Coupling``; its output is the shift t, of the shape of the layer's input or
            one that broadcasts to it.
        mask: See ``Coupling``.
        **kwargs: What every Keras layer takes.

    Input shape:
        [batch, …] with ``shape`` along ``axes``.

    Output shape:
        The input's, and [batch] for the logdet, which is 0.

    Raises:
        ValueError: As for ``Coupling``.

    References:
        Dinh, L., Krueger, D. & Bengio, Y. (2015) "NICE: Non-linear independent components estimation"
        arXiv:1410.8516

        Dinh, L., Sohl-Dickstein, J. & Bengio, S. (2016) "Density estimation using Real NVP" arXiv:1605.08803

    Example:
        >>> import numpy as np
        >>> from gyoza.modelling.flow_layers import AdditiveCoupling
        >>> from gyoza.modelling.masks import HeavisideMask
        >>> from gyoza.modelling.networks import dense_network
        >>> at = {"shape": [4], "axes": [1]}
        >>> layer = AdditiveCoupling(**at, compute_coupling_parameters=dense_network(4, 1), mask=HeavisideMask(**at))
        >>> outputs, logdet = layer(np.ones((1, 4)))  # the identity, until its network is trained
        >>> np.asarray(outputs).tolist(), np.asarray(logdet).tolist()
        ([[1.0, 1.0, 1.0, 1.0]], [0.0])
    """

    def _couple_(self, inputs: Any, coupling_parameters: Any) -> Any:
        """Return ``inputs`` + t, [batch, …]."""
        return inputs + coupling_parameters

    def _decouple_(self, outputs: Any, coupling_parameters: Any) -> Any:
        """Return ``outputs`` − t, [batch, …]."""
        return outputs - coupling_parameters

    def compute_jacobian_determinant(self, x: Any) -> Any:
        """Return zeros [batch]: the law preserves volume.

        Args:
            x: The input of ``call``, [batch, …].

        Returns:
            log|det J| = 0 for each row, [batch].
        """
        return zeros_per_row(self._prepare(x))

    def _check_parameters_(self, parameters: Any, input_shape: tuple[int | None, ...]) -> None:
        """Check that the network gives one shift that fits the input."""
        check_parameters([parameters], input_shape, self.name)

    def _split_parameters_(self, coupling_parameters: Any) -> tuple[Any, ...]:
        """Return the shift."""
        return (coupling_parameters,)

    def _plan_law_(self) -> plan.Law | None:
        """Return the plan's additive law, unless a subclass changes it."""
        return plan.Additive() if inherits(self, AdditiveCoupling, LAW) else None
