"""The slow way to a flow's numbers: its Keras layers one by one, and automatic differentiation. For checks."""

from math import prod
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import ArrayLike

from gyoza.inference.plan import Floats
from gyoza.modelling.autodiff import gradient, jacobian
from gyoza.modelling.flow_layers import Coupling, FlowModel

LARGEST_JACOBIAN = 1024
"""Up to how many entries of a latent the whole Jacobian is computed."""


class LayeredFlow:
    """A flow that calls a model, and so its layers one by one, with the interface of ``gyoza.inference.CompiledFlow``.

    Args:
        model: A built ``FlowModel``.

    Raises:
        ValueError: The model is not built.
    """

    def __init__(self, model: FlowModel) -> None:
        """Keep the model; take the shapes and the dtype from its plan."""
        plan = model.lower()
        self.latent_shape, self.code_shape, self.dtype = plan.latent_shape, plan.code_shape, plan.dtype
        self._model, self._layers = model, list(model._flow_layers_)

    def encode(self, latents: ArrayLike) -> tuple[Floats, Floats]:
        """Map latents [n, *latent_shape] to codes [n, *code_shape] and logdet [n]."""
        codes, logdet = self._model(np.asarray(latents, self.dtype))
        return np.asarray(ops.convert_to_numpy(codes), self.dtype), np.asarray(ops.convert_to_numpy(logdet), self.dtype)

    def invert(self, codes: ArrayLike) -> Floats:
        """Map codes [n, *code_shape] to latents [n, *latent_shape]."""
        latents = self._model.invert(np.asarray(codes, self.dtype))
        return np.asarray(ops.convert_to_numpy(latents), self.dtype)

    def autodiff_logdet(self, latents: ArrayLike) -> Floats:
        """Compute log|det J| from derivatives instead of the layers' formulas.

        Up to 1,024 entries it is that of the whole flow's Jacobian. Above, the layers' terms are summed: of a coupling,
        the derivatives of the entries that it transforms; of another layer, what it says itself.

        Args:
            latents: [n, *latent_shape].

        Returns:
            log|det J| [n].
        """
        x = np.asarray(latents, self.dtype)
        if prod(self.latent_shape) > LARGEST_JACOBIAN:
            return self._layerwise_logdet(x)
        matrices = jacobian(self._encode_rows, x.reshape(len(x), -1))
        return np.asarray(np.linalg.slogdet(matrices.astype(np.float64))[1], self.dtype)

    def _encode_rows(self, rows: Any) -> Any:
        codes, _ = self._model(ops.reshape(rows, (-1, *self.latent_shape)))
        return ops.reshape(codes, (-1, prod(self.code_shape)))

    def _layerwise_logdet(self, x: Any) -> Floats:
        logdet = np.zeros(len(x), self.dtype)
        for layer in self._layers:
            y, term = layer(x)
            logdet += coupling_logdet(layer, x) if isinstance(layer, Coupling) else ops.convert_to_numpy(term)
            x = ops.convert_to_numpy(y)
        return logdet


def coupling_logdet(layer: Coupling, x: Floats) -> Floats:
    """Compute the log|det J| [n] of a coupling at ``x`` [n, …] from derivatives.

    A coupling law acts entry by entry, so each transformed entry's derivative is one entry of the gradient of the sum
    of them all.
    """
    slopes = gradient(lambda inputs: ops.sum(layer._mask_.call(layer(inputs)[0], is_positive=False)), x)
    changed = ~layer._mask_.passing_entries(x.shape[1:])
    logdet: Floats = np.log(np.abs(slopes.reshape(len(x), -1)[:, changed])).sum(axis=1)
    return logdet
