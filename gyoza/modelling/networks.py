"""Networks for the inside of couplings, which make a coupling start as the identity: their last layer is 0 at first."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from gyoza.modelling.axes import as_integers

__all__ = ["convolutional_network", "dense_network"]

CONVOLUTIONS = {1: keras.layers.Conv1D, 2: keras.layers.Conv2D}


def dense_network(  # noqa: PLR0913 - all but the first two have defaults and names
    size: int,
    parameter_count: int,
    *,
    widths: Sequence[int] = (128, 128),
    activation: Any = "swish",
    dtype: Any = None,
    seed: int | None = None,
) -> Any:
    """Return a network of dense layers for couplings on latents [batch, size].

    Args:
        size: The entries of a latent.
        parameter_count: How many parameters the coupling law takes for each entry: 1 for ``AdditiveCoupling``, 2 for
            ``AffineCoupling``, 3·bins − 1 for ``RationalQuadraticSplineCoupling``.
        widths: Of the hidden layers.
        activation: Of the hidden layers.
        dtype: The dtype policy of all layers; the coupling's.
        seed: Of the hidden layers' kernels. By default one that ``keras.utils.set_random_seed`` governs.

    Returns:
        A ``keras.Sequential`` from [batch, size] to [batch, parameter_count · size], 0 until it is trained.

    Raises:
        ValueError: A size is below 1.
        TypeError: A size is no integer.

    References:
        Kingma, D. P. & Dhariwal, P. (2018) "Glow: Generative flow with invertible 1x1 convolutions" arXiv:1807.03039,
        section 3.3, on the zero initialisation.

    Example:
        >>> from gyoza.modelling.networks import dense_network
        >>> dense_network(4, 2, widths=[16]).count_params()
        216
    """
    size, count, *hidden = checked([size, parameter_count, *widths])
    layers = [
        keras.layers.Dense(width, activation=activation, kernel_initializer=initializer, dtype=dtype)
        for width, initializer in zip(hidden, initializers(seed, len(hidden)), strict=True)
    ]
    last = keras.layers.Dense(count * size, kernel_initializer="zeros", dtype=dtype)
    return keras.Sequential([input_of([size], dtype), *layers, last])


def convolutional_network(  # noqa: PLR0913 - all but the first two have defaults and names
    channels: int,
    parameter_count: int,
    *,
    rank: int = 2,
    widths: Sequence[int] = (64, 64),
    kernel_size: int = 3,
    activation: Any = "swish",
    dtype: Any = None,
    seed: int | None = None,
) -> Any:
    """Return a network of convolutions for couplings on images or signals of any size, channels last.

    Args:
        channels: The entries of the last axis.
        parameter_count: As for ``dense_network``.
        rank: 2 for images [batch, height, width, channels], 1 for signals [batch, steps, channels].
        widths: Channels of the hidden layers.
        kernel_size: How many entries a kernel spans along each axis; edges are padded with 0.
        activation: Of the hidden layers.
        dtype: The dtype policy of all layers; the coupling's.
        seed: As for ``dense_network``.

    Returns:
        A ``keras.Sequential`` from [batch, …, channels] to [batch, …, parameter_count · channels], 0 until it is trained.

    Raises:
        ValueError: A size is below 1, or ``rank`` is neither 1 nor 2.
        TypeError: A size is no integer.

    References:
        Kingma, D. P. & Dhariwal, P. (2018) "Glow: Generative flow with invertible 1x1 convolutions" arXiv:1807.03039,
        section 3.3, on the zero initialisation.

    Example:
        >>> from gyoza.modelling.networks import convolutional_network
        >>> convolutional_network(3, 1, widths=[8], kernel_size=1).output_shape
        (None, None, None, 3)
    """
    channels, count, kernel, *hidden = checked([channels, parameter_count, kernel_size, *widths])
    if rank not in CONVOLUTIONS:
        raise ValueError(f"rank must be 2 for images or 1 for signals. Received: rank={rank}")
    convolution, same = CONVOLUTIONS[rank], {"padding": "same", "dtype": dtype}
    layers = [
        convolution(width, kernel, activation=activation, kernel_initializer=initializer, **same)
        for width, initializer in zip(hidden, initializers(seed, len(hidden)), strict=True)
    ]
    last = convolution(count * channels, kernel, kernel_initializer="zeros", **same)
    return keras.Sequential([input_of([*[None] * rank, channels], dtype), *layers, last])


def initializers(seed: int | None, count: int) -> list[Any]:
    """Return what draws the kernels of so many layers, each differently."""
    seeds = [None] * count if seed is None else np.random.SeedSequence(seed).generate_state(count).tolist()
    return [keras.initializers.GlorotUniform(own) for own in seeds]


def checked(sizes: Sequence[int]) -> list[int]:
    """Return sizes as ints of at least 1.

    Raises:
        ValueError: One is below 1.
        TypeError: One is no integer.
    """
    found = as_integers(sizes, "sizes")
    if min(found) < 1:
        raise ValueError(f"Sizes, widths and counts of a network must be at least 1. Received: sizes={found}")
    return found


def input_of(shape: Sequence[int | None], dtype: Any) -> Any:
    """Return the input of a network whose layers have a dtype policy."""
    policy = keras.dtype_policies.get(dtype or keras.config.dtype_policy())
    return keras.layers.Input(tuple(shape), dtype=policy.compute_dtype)
