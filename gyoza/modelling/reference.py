"""The slow way to a flow's numbers: its Keras layers one by one, and automatic differentiation. For checks."""

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import ArrayLike, NDArray

from gyoza.inference.plan import Floats
from gyoza.modelling.axes import as_floats, broadcast_shape
from gyoza.modelling.backend import gradient, jacobian
from gyoza.modelling.flow_layers import (
    ActivationNormalization,
    Coupling,
    FlowModel,
    InvertibleLinear,
    Permutation,
    Reflection,
)
from gyoza.modelling.flow_layers.coupling import STRUCTURE
from gyoza.modelling.flow_layers.lowering import inherits
from gyoza.modelling.flow_layers.reshape import Rearrangement

__all__ = [
    "LayeredFlow",
    "coupling_logdet",
    "entrywise_logdet",
    "flow_logdet",
    "layerwise_logdet",
    "linear_logdet",
    "normalization_logdet",
    "permutation_logdet",
    "rearrangement_logdet",
    "reflection_logdet",
    "slogdets",
    "unknown_logdet",
]

LARGEST_JACOBIAN = 1024
"""Up to how many entries of a latent the whole Jacobian of a flow is computed."""
LARGEST_OWN_JACOBIAN = 4096
"""The same of a single layer of which nothing is known, in a flow that is larger than that."""


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
        self._model = model

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

        Up to 1,024 entries it is that of the whole flow's Jacobian. Above, the layers' terms are summed: of gyoza's
        couplings and ``ActivationNormalization`` from the derivatives of single entries; of layers that only move entries
        from where these go; of linear ones from what they do to a basis; of other layers from their whole Jacobian. Only
        a layer of another kind with more than 4,096 entries is taken at its word, so there a wrong logdet is not found.

        Args:
            latents: [n, *latent_shape].

        Returns:
            log|det J| [n].
        """
        x = np.asarray(latents, self.dtype)
        if prod(self.latent_shape) > LARGEST_JACOBIAN:
            return np.asarray(layerwise_logdet(self._model, x), self.dtype)
        return np.asarray(slogdets(jacobian(self._encode_rows, x.reshape(len(x), -1))), self.dtype)

    def _encode_rows(self, rows: Any) -> Any:
        codes, _ = self._model(ops.reshape(rows, (-1, *self.latent_shape)))
        return ops.reshape(codes, (-1, prod(self.code_shape)))


def layerwise_logdet(layer: Any, x: Floats) -> Floats:
    """Compute the log|det J| [n] of a layer or a flow at ``x`` [n, …] from what is known of its kind.

    A flow is the sum over its layers. What computes as a layer of gyoza has a small Jacobian, in places known from its
    kind; all else is differentiated whole, up to ``LARGEST_OWN_JACOBIAN`` entries, and above gives its own word.
    """
    if isinstance(layer, FlowModel) and layer._runs_its_layers_():
        return flow_logdet(layer, x)
    for kind, methods, function in KINDS:
        if isinstance(layer, kind) and inherits(layer, kind, methods):
            return function(layer, x)
    return unknown_logdet(layer, x)


def flow_logdet(flow: FlowModel, x: Floats) -> Floats:
    """Sum up the log|det J| [n] of the layers of a flow, each at the outputs of those before."""
    logdet = np.zeros(len(x))
    for layer in flow._flow_layers_:
        logdet += layerwise_logdet(layer, x)
        x = np.asarray(ops.convert_to_numpy(layer(x)[0]))
    return logdet


def coupling_logdet(layer: Coupling, x: Floats) -> Floats:
    """Compute the log|det J| [n] of a coupling whose law transforms each entry by itself, as those of gyoza do."""
    if layer._plan_law_() is None:
        return unknown_logdet(layer, x)
    return entrywise_logdet(layer, x, ~layer._mask_.passing_entries(x.shape[1:]))


def normalization_logdet(layer: ActivationNormalization, x: Floats) -> Floats:
    """Compute the log|det J| [n] of a layer that shifts and scales each entry."""
    return entrywise_logdet(layer, x, np.ones(x[0].size, np.bool_))


def entrywise_logdet(layer: Any, x: Floats, changed: NDArray[np.bool_]) -> Floats:
    """Compute the log|det J| [n] of a layer that transforms each of the ``changed`` entries [D] by itself.

    Each entry's derivative is then one entry of the gradient of the sum of them all.
    """
    weights = ops.convert_to_tensor(changed.reshape(x.shape[1:]).astype(x.dtype))
    slopes = gradient(lambda inputs: ops.sum(as_floats(layer(inputs)[0], x.dtype.name) * weights), x)
    logdet: Floats = np.log(np.abs(slopes.reshape(len(x), -1)[:, changed])).sum(axis=1, dtype=np.float64)
    return logdet


def permutation_logdet(layer: Permutation, x: Floats) -> Floats:
    """Return 0 [n] if the layer's indices take each entry once, as those of a permutation do, else −inf."""
    indices = np.sort(ops.convert_to_numpy(layer._forward_permutation_))
    return np.full(len(x), 0.0 if np.array_equal(indices, np.arange(len(indices))) else -np.inf)


def rearrangement_logdet(layer: Rearrangement, x: Floats) -> Floats:
    """Return 0 [n] if the layer gives each entry of a row once, whatever its shape, else −inf."""
    places = np.arange(x[0].size, dtype=np.int32)
    moved = ops.convert_to_numpy(layer._rearrange(ops.convert_to_tensor(places.reshape(1, *x.shape[1:]))))
    return np.full(len(x), 0.0 if np.array_equal(np.sort(moved, axis=None), places) else -np.inf)


def linear_logdet(layer: InvertibleLinear, x: Floats) -> Floats:
    """Compute the log|det J| [n] of a linear layer from what it does to a basis along its axes, at each other place."""
    size = prod(layer._shape_)
    places = broadcast_shape(x.ndim, layer._axes_, layer._shape_)[1:]
    matrix = np.asarray(ops.convert_to_numpy(layer(np.eye(size, dtype=x.dtype).reshape(-1, *places))[0]), np.float64)
    return np.full(len(x), np.linalg.slogdet(matrix.reshape(size, size))[1] * (x[0].size // size))


def reflection_logdet(layer: Reflection, x: Floats) -> Floats:
    """Compute the log|det J| [n] of a linear layer that moves nothing outside of the span of its normals.

    Along its axes the determinant is that of what it does within the span, of which there is a small basis; the same
    holds for each place along the other axes.
    """
    normals = ops.convert_to_numpy(layer._reflection_normals_).astype(np.float64)
    basis = np.linalg.qr(normals.T)[0].T
    places = broadcast_shape(x.ndim, layer._axes_, layer._shape_)[1:]
    moved = np.asarray(ops.convert_to_numpy(layer(basis.reshape(-1, *places))[0]), np.float64)
    within = moved.reshape(len(basis), -1) @ basis.T
    return np.full(len(x), np.linalg.slogdet(within)[1] * (x[0].size // prod(layer._shape_)))


def unknown_logdet(layer: Any, x: Floats) -> Floats:
    """Compute the log|det J| [n] of any layer from its whole Jacobian; of one too large for that, return its word."""
    if x[0].size > LARGEST_OWN_JACOBIAN:
        return np.asarray(ops.convert_to_numpy(layer(x)[1]), np.float64)

    def function(rows: Any) -> Any:
        outputs, _ = layer(ops.reshape(rows, (-1, *x.shape[1:])))
        return as_floats(ops.reshape(outputs, (-1, x[0].size)), x.dtype.name)

    return slogdets(jacobian(function, x.reshape(len(x), -1)))


def slogdets(matrices: Floats) -> Floats:
    """Return log|det| [n] of matrices [n, D, D], in double precision."""
    return np.asarray(np.linalg.slogdet(matrices.astype(np.float64))[1])


KINDS: tuple[tuple[type, tuple[str, ...], Callable[[Any, Floats], Floats]], ...] = (
    (Coupling, STRUCTURE, coupling_logdet),
    (ActivationNormalization, ("call", "_prepare_variables_for_computation_"), normalization_logdet),
    (Permutation, ("call", "_reorder"), permutation_logdet),
    (Rearrangement, ("call",), rearrangement_logdet),
    (Reflection, ("call", "_reflect_", "_rotate"), reflection_logdet),
    (InvertibleLinear, ("call", "_triangles", "_precise_rows", "_shaped"), linear_logdet),
)
"""Kinds of layers whose derivatives have a structure, what a layer of the kind must inherit to have it, and the use of it."""
