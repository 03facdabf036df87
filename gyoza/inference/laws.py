"""Coupling laws in NumPy: each writes over the columns that it transforms, by parameters that a network computed."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np

from gyoza.inference.activations import ACTIVATIONS
from gyoza.inference.plan import (
    Additive,
    BoundedAffine,
    Dense,
    DenseNetwork,
    Floats,
    Floor,
    FoldedNetwork,
    OpaqueNetwork,
    Spline,
)
from gyoza.inference.splines import couple_spline, decouple_spline

__all__ = [
    "LAWS",
    "Couple",
    "Decouple",
    "add",
    "affine",
    "run_layer",
    "run_network",
    "shift_and_log_scale",
    "spline",
    "subtract",
    "unaffine",
    "unspline",
]

Couple: TypeAlias = Callable[[Any, Floats, Floats], Floats | None]
"""A law, columns [n, C] to be written over, parameters -> logdet [n], or None where it is 0."""
Decouple: TypeAlias = Callable[[Any, Floats, Floats], None]
"""The same back."""


def run_network(network: DenseNetwork | FoldedNetwork | OpaqueNetwork, kept: Floats) -> Floats:
    """Compute coupling parameters [n, p·C] from the kept columns [n, K], which stay as they are."""
    if isinstance(network, OpaqueNetwork):
        return network.function(kept)
    for layer in network.layers:
        kept = run_layer(layer, kept @ layer.kernel)
    return kept


def run_layer(layer: Dense | Floor, product: Floats) -> Floats:
    """Finish a layer from the product of its input and its kernel [n, outputs], over which it may write."""
    if isinstance(layer, Floor):
        return np.maximum(product, layer.floor, out=product)
    product += layer.bias
    return ACTIVATIONS[layer.activation](product)


def add(_: Additive, columns: Floats, parameters: Floats) -> None:
    """Map x to y = x + t, of logdet 0."""
    columns += parameters


def subtract(_: Additive, columns: Floats, parameters: Floats) -> None:
    """Map y to x = y − t."""
    columns -= parameters


def affine(law: BoundedAffine, columns: Floats, parameters: Floats) -> Floats:
    """Map x to y = x · exp(σ) + t, of logdet Σσ [n]."""
    shift, log_scale = shift_and_log_scale(law, parameters)
    logdet: Floats = log_scale.sum(axis=1)
    columns *= np.exp(log_scale)
    columns += shift
    return logdet


def unaffine(law: BoundedAffine, columns: Floats, parameters: Floats) -> None:
    """Map y to x = (y − t) · exp(−σ)."""
    shift, log_scale = shift_and_log_scale(law, parameters)
    columns -= shift
    columns *= np.exp(-log_scale)


def shift_and_log_scale(law: BoundedAffine, parameters: Floats) -> tuple[Floats, Floats]:
    """Split parameters [n, 2·C] into the shift t [n, C] and the bounded log-scale σ [n, C]."""
    size = parameters.shape[1] // 2
    log_scale = parameters[:, size:] / law.bound
    np.tanh(log_scale, out=log_scale)
    log_scale *= law.bound
    return parameters[:, :size], log_scale


def spline(law: Spline, columns: Floats, parameters: Floats) -> Floats:
    """Map x to y on the spline, with its logdet [n]."""
    columns[...], logdet = couple_spline(law, columns, parameters)
    return logdet


def unspline(law: Spline, columns: Floats, parameters: Floats) -> None:
    """Map y back to x on the spline."""
    columns[...] = decouple_spline(law, columns, parameters)


LAWS: Mapping[type, tuple[Couple, Decouple]] = MappingProxyType(
    {Additive: (add, subtract), BoundedAffine: (affine, unaffine), Spline: (spline, unspline)}
)
"""A law's type to what applies it and what undoes it."""
