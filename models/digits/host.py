"""The host network: a small dense autoencoder whose 32 latents the flow disentangles."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from models.digits.data import SIZE, Digits, Floats
from models.digits.pairs import PairSource

LATENTS = 32
NOISE = 0.05
BATCH = 256
RATE = 2e-3
STEPS_PER_EPOCH = 500


@dataclass(frozen=True)
class Host:
    """The two halves of the host network."""

    encoder: Any
    """Images [n, 192] to whitened latents [n, 32], a Keras model."""
    decoder: Any
    """Whitened latents [n, 32] to images [n, 192] in 0..1, a Keras model."""

    def encode(self, images: Floats) -> Floats:
        """Map images [n, 192] to latents [n, 32]."""
        return np.asarray(self.encoder.predict(images, batch_size=1024, verbose=0))

    def decode(self, latents: Floats) -> Floats:
        """Map latents [n, 32] to images [n, 192] in 0..1."""
        return np.asarray(self.decoder.predict(latents, batch_size=1024, verbose=0))


def build_dense(name: str, sizes: tuple[int, ...], last_activation: str) -> Any:
    """Return dense layers of these sizes in a row, swish between them."""
    hidden = [keras.layers.Dense(size, activation="swish") for size in sizes[1:-1]]
    last = keras.layers.Dense(sizes[-1], activation=last_activation)
    return keras.Sequential([keras.Input((sizes[0],)), *hidden, last], name=name)


def train_host(digits: Digits, *, seed: int, steps: int, verbose: str | int) -> Host:
    """Train the autoencoder on fresh renders, and whiten its latents.

    Args:
        digits: The training digits.
        seed: Of the renders.
        steps: How many batches of 256 to learn from.
        verbose: As for ``keras.Model.fit``.

    Returns:
        The host. On renders of the training digits its latents have mean 0 and covariance I.
    """
    host = Host(
        build_dense("encoder", (SIZE, 384, 384, LATENTS), "linear"),
        build_dense("decoder", (LATENTS, 256, 384, SIZE), "sigmoid"),
    )
    autoencoder = keras.Sequential([host.encoder, keras.layers.GaussianNoise(NOISE), host.decoder])
    schedule = keras.optimizers.schedules.CosineDecay(RATE, steps)
    autoencoder.compile(keras.optimizers.AdamW(schedule), "mse", jit_compile=False)
    epochs, per_epoch = max(1, steps // STEPS_PER_EPOCH), min(steps, STEPS_PER_EPOCH)
    autoencoder.fit(
        draw_batches(PairSource(digits, seed, 0)),
        epochs=epochs,
        steps_per_epoch=per_epoch,
        shuffle=False,
        verbose=verbose,
    )
    # A source of its own: how far ahead Keras reads the batches is not fixed.
    whiten(host, PairSource(digits, seed, 1).images(20_000))
    return host


def draw_batches(source: PairSource) -> Iterator[tuple[Floats, Floats]]:
    """Yield images twice, as input and target, for ever."""
    while True:
        images = source.images(BATCH)
        yield images, images


def whiten(host: Host, images: Floats) -> None:
    """Fold into the two halves the linear map that whitens the latents of these images.

    Args:
        host: The trained halves; the last layer of one and the first of the other are changed.
        images: Renders of the training digits, shape [n, 192].
    """
    latents = host.encode(images).astype(np.float64)
    mean = latents.mean(axis=0)
    variances, directions = np.linalg.eigh(np.cov(latents, rowvar=False))
    whitening = directions / np.sqrt(variances)
    last, first = host.encoder.layers[-1], host.decoder.layers[0]
    kernel, bias = last.get_weights()
    last.set_weights([kernel @ whitening, (bias - mean) @ whitening])
    kernel, bias = first.get_weights()
    first.set_weights([(directions * np.sqrt(variances)).T @ kernel, bias + mean @ kernel])


def explained_variance(host: Host, images: Floats) -> float:
    """Return the part of the variance of images [n, 192] that their reconstructions explain."""
    error = host.decode(host.encode(images)) - images
    return float(1 - (error**2).sum() / ((images - images.mean(axis=0)) ** 2).sum())
