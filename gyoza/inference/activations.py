"""Activations in NumPy, by the names under which Keras serialises them; each acts entry by entry."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from gyoza.inference.plan import Floats

__all__ = ["ACTIVATIONS", "LEAKY_RELU_SLOPE", "elu", "leaky_relu", "linear", "relu", "sigmoid", "silu", "softplus"]

LEAKY_RELU_SLOPE = float(np.float32(0.2))
"""What ``keras.activations.leaky_relu`` takes where nothing else is said; TensorFlow rounds it to float32, also in float64."""


def linear(x: Floats) -> Floats:
    """Return the entries as they are."""
    return x


def relu(x: Floats) -> Floats:
    """max(x, 0)."""
    return np.maximum(x, 0)


def leaky_relu(x: Floats) -> Floats:
    """Return x where it is positive, 0.2·x elsewhere."""
    return np.where(x > 0, x, x * x.dtype.type(LEAKY_RELU_SLOPE))


def elu(x: Floats) -> Floats:
    """Return x where it is positive, exp(x) − 1 elsewhere."""
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


def sigmoid(x: Floats) -> Floats:
    """1 / (1 + exp(−x)); an overflow of the exponential ends at the right limit, 0."""
    denominator: Floats = 1 + np.exp(-x)
    return 1 / denominator


def silu(x: Floats) -> Floats:
    """Return x · sigmoid(x), also called swish."""
    denominator: Floats = 1 + np.exp(-x)
    return x / denominator


def softplus(x: Floats) -> Floats:
    """ln(1 + exp(x))."""
    return np.logaddexp(x, x.dtype.type(0))


ACTIVATIONS: Mapping[str, Callable[[Floats], Floats]] = MappingProxyType(
    {
        "elu": elu,
        "leaky_relu": leaky_relu,
        "linear": linear,
        "relu": relu,
        "sigmoid": sigmoid,
        "silu": silu,
        "softplus": softplus,
        "tanh": np.tanh,
    }
)
