"""The flow that takes the host's latents to factors, and its training on pairs."""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from gyoza.modelling.flow_layers import ActivationNormalization, AffineCoupling, DisentanglingFlowModel, Reflection
from gyoza.modelling.losses import SupervisedFactorLoss
from gyoza.modelling.masks import HeavisideMask, Mask
from models.digits.data import Digits, Floats
from models.digits.host import LATENTS, STEPS_PER_EPOCH, Host
from models.digits.pairs import PairSource

FACTORS = {"residual": 17, "digit": 9, "color": 3, "angle": 3}
BLOCKS = 6
REFLECTIONS = 8
WIDTH = 128
LOG_SCALE_BOUND = 1.5
NOISE = 0.03
PAIRS = 192
RATE = 2e-3
WARM_UP = 100
LARGEST_GRADIENT = 5.0
AVERAGING = 0.998
AT: dict[str, Any] = {"shape": [LATENTS], "axes": [1]}


def build_flow() -> DisentanglingFlowModel:
    """Return the flow, built and untrained: 6 blocks for latents [n, 32]."""
    layers = [layer for _ in range(BLOCKS) for layer in build_block()]
    flow = DisentanglingFlowModel(layers, factors=FACTORS, name="digits")
    flow.build((None, LATENTS))
    return flow


def build_block() -> list[Any]:
    """Return the layers of a block, after which every entry has been transformed given the other half."""
    first = HeavisideMask(**AT)
    second = Mask(**AT, mask=[1 - entry for entry in first.get_config()["mask"]])
    couplings = [
        AffineCoupling(**AT, compute_coupling_parameters=build_network(), mask=mask, log_scale_bound=LOG_SCALE_BOUND)
        for mask in (first, second)
    ]
    return [ActivationNormalization(**AT), Reflection(**AT, reflection_count=REFLECTIONS), *couplings]


def build_network() -> Any:
    """Return a network from the masked latent [n, 32] to shift and log-scale [n, 64], 0 at first."""
    return keras.Sequential(
        [
            keras.Input((LATENTS,)),
            keras.layers.Dense(WIDTH, activation="swish"),
            keras.layers.Dense(WIDTH, activation="swish"),
            keras.layers.Dense(2 * LATENTS, kernel_initializer="zeros"),
        ]
    )


def train_flow(host: Host, digits: Digits, *, seed: int, steps: int, verbose: str | int) -> DisentanglingFlowModel:
    """Train a flow on fresh pairs.

    Args:
        host: Maps the renders to latents.
        digits: The training digits.
        seed: Of the pairs.
        steps: How many batches of 192 pairs to learn from.
        verbose: As for ``keras.Model.fit``.

    Returns:
        The flow with averaged weights, not compiled for training.
    """
    flow = build_flow()
    schedule = keras.optimizers.schedules.CosineDecay(0.0, steps, warmup_target=RATE, warmup_steps=WARM_UP)
    optimizer = keras.optimizers.Adam(
        schedule, global_clipnorm=LARGEST_GRADIENT, use_ema=True, ema_momentum=AVERAGING, ema_overwrite_frequency=None
    )
    flow.compile(optimizer, SupervisedFactorLoss(list(FACTORS.values())), jit_compile=False)
    epochs, per_epoch = max(1, steps // STEPS_PER_EPOCH), min(steps, STEPS_PER_EPOCH)
    batches = draw_batches(host, PairSource(digits, seed, 2))
    flow.fit(batches, epochs=epochs, steps_per_epoch=per_epoch, shuffle=False, verbose=verbose)
    return without_optimizer(flow)


def draw_batches(host: Host, source: PairSource) -> Iterator[tuple[tuple[Floats, Floats], Floats]]:
    """Yield pairs of noisy latents [192, 32] and their correlations [192, 4], for ever."""
    while True:
        one, two, correlations = source.pairs(PAIRS)
        images = np.concatenate([one, two])
        latents = keras.ops.convert_to_numpy(host.encoder(images))
        noisy = latents + NOISE * source.rng.standard_normal(latents.shape, np.float32)
        yield (noisy[:PAIRS], noisy[PAIRS:]), correlations


def without_optimizer(flow: DisentanglingFlowModel) -> DisentanglingFlowModel:
    """Return a copy of a flow that was never compiled, so that its file holds nothing but the flow."""
    copy = DisentanglingFlowModel.from_config(flow.get_config())
    copy.build((None, LATENTS))
    copy.set_weights(flow.get_weights())
    return copy
