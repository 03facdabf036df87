"""Activations in NumPy, by the names under which Keras serialises them.

Each acts entry by entry, and may write its results over its argument: what a dense layer gives is nobody else's.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from gyoza.inference.plan import Floats

__all__ = [
    "ACTIVATIONS",
    "LEAKY_RELU_SLOPE",
    "elu",
    "leaky_relu",
    "linear",
    "one_and_power",
    "relu",
    "sigmoid",
    "silu",
    "softplus",
    "tanh",
]

LEAKY_RELU_SLOPE = float(np.float32(0.2))
"""What ``keras.activations.leaky_relu`` takes where nothing else is said; TensorFlow rounds it to float32, also in float64."""


def linear(x: Floats) -> Floats:
    """Return the entries as they are."""
    return x


def relu(x: Floats) -> Floats:
    """max(x, 0)."""
    return np.maximum(x, 0, out=x)


def leaky_relu(x: Floats) -> Floats:
    """Return x where it is positive, 0.2·x elsewhere."""
    return np.maximum(x, x * x.dtype.type(LEAKY_RELU_SLOPE), out=x)


def elu(x: Floats) -> Floats:
    """Return x where it is positive, exp(x) − 1 elsewhere."""
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


def sigmoid(x: Floats) -> Floats:
    """1 / (1 + exp(−x)); an overflow of the exponential ends at the right limit, 0."""
    return np.reciprocal(one_and_power(x), out=x)


def silu(x: Floats) -> Floats:
    """Return x · sigmoid(x), also called swish."""
    return np.divide(x, one_and_power(x), out=x)


def softplus(x: Floats) -> Floats:
    """ln(1 + exp(x))."""
    return np.logaddexp(x, x.dtype.type(0), out=x)


def tanh(x: Floats) -> Floats:
    """Return the hyperbolic tangent."""
    return np.tanh(x, out=x)


def one_and_power(x: Floats) -> Floats:
    """Return 1 + exp(−x) as an array of its own."""
    power = np.exp(-x)
    power += 1
    return power


ACTIVATIONS: Mapping[str, Callable[[Floats], Floats]] = MappingProxyType(
    {
        "elu": elu,
        "leaky_relu": leaky_relu,
        "linear": linear,
        "relu": relu,
        "sigmoid": sigmoid,
        "silu": silu,
        "softplus": softplus,
        "tanh": tanh,
    }
)
