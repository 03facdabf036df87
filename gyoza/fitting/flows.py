"""The flows that are fitted: blocks of a normalization, reflections, and a coupling for each half."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from gyoza.fitting.settings import FitSettings
from gyoza.fitting.standardisation import Standardisation
from gyoza.modelling.flow_layers import (
    ActivationNormalization,
    AdditiveCoupling,
    AffineCoupling,
    DisentanglingFlowModel,
    Flatten,
    RationalQuadraticSplineCoupling,
    Reflection,
)
from gyoza.modelling.masks import HeavisideMask, Mask
from gyoza.modelling.networks import dense_network

__all__ = ["build_flow", "standardised_flow"]

LAWS: dict[str, tuple[Any, int]] = {
    "affine": (AffineCoupling, 2),
    "additive": (AdditiveCoupling, 1),
    "spline": (RationalQuadraticSplineCoupling, 23),
}
"""The layer of each law, and how many parameters it takes for an entry."""


def build_flow(sizes: Mapping[str, int], settings: FitSettings, seed: int) -> DisentanglingFlowModel:
    """Return a flow for standardised latents [n, D], built and untrained.

    Args:
        sizes: Factor names to sizes, D in all.
        settings: How many blocks of what.
        seed: Of the reflections and of the networks.
    """
    size = sum(sizes.values())
    streams = np.random.SeedSequence(seed).spawn(settings.blocks)
    layers = [layer for stream in streams for layer in build_block(size, settings, stream)]
    # The first normalization is the standardisation, which is not trained.
    flow = DisentanglingFlowModel(layers[1:], factors=sizes)
    flow.build((None, size))
    return flow


def build_block(size: int, settings: FitSettings, stream: np.random.SeedSequence) -> Iterator[Any]:
    """Yield the layers of a block, after which every entry has been transformed given the other half."""
    at: dict[str, Any] = {"shape": [size], "axes": [1]}
    reflection_seed, *network_seeds = stream.generate_state(3).tolist()
    yield ActivationNormalization(**at)
    yield Reflection(**at, reflection_count=min(settings.reflections, size), seed=reflection_seed)
    first = HeavisideMask(**at)
    second = Mask(**at, mask=[1 - entry for entry in first.get_config()["mask"]])
    coupling, parameter_count = LAWS[settings.coupling]
    for mask, seed in zip((first, second), network_seeds, strict=True):
        network = dense_network(size, parameter_count, widths=[settings.width] * 2, seed=seed)
        yield coupling(**at, compute_coupling_parameters=network, mask=mask)


def standardised_flow(
    flow: DisentanglingFlowModel, standardisation: Standardisation, shape: tuple[int, ...]
) -> DisentanglingFlowModel:
    """Return a flow for latents as they are: flattened, standardised, and then the layers of ``flow`` themselves.

    It was never compiled, so its file holds nothing but the flow.

    Args:
        flow: For standardised latents [n, D].
        standardisation: What it was trained on.
        shape: Of one latent.
    """
    first = ActivationNormalization(shape=[len(standardisation.scale)], axes=[1])
    first._location_.assign(standardisation.location)
    first._scale_.assign(standardisation.scale)
    first._initialized_.assign(True)
    flatten = [] if len(shape) == 1 else [Flatten(shape=shape, axes=list(range(1, len(shape) + 1)))]
    whole = DisentanglingFlowModel([*flatten, first, *flow._flow_layers_], factors=flow.factors)
    whole.build((None, *shape))
    return whole
