"""Golden vectors: rows, and what a flow's layers make of them, for whoever loads it later."""

from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from gyoza.inference.checks import Golden
from gyoza.inference.plan import Floats
from gyoza.modelling.flow_layers import FlowModel
from gyoza.modelling.reference import LayeredFlow

__all__ = ["GOLDEN_ROWS", "golden_of", "likely_latents", "write_golden"]

GOLDEN_ROWS = 24
SEED = 1
"""Another one than that of the load checks, which look at rows of their own."""


def likely_latents(flow: LayeredFlow) -> Floats:
    """Return latents [24, *latent_shape] that a flow finds likely: the inverses of codes from N(0, I), always the same."""
    codes = np.random.RandomState(SEED).standard_normal((GOLDEN_ROWS, *flow.code_shape))
    return flow.invert(codes.astype(flow.dtype))


def golden_of(model: Any, latents: Floats | None = None) -> Golden:
    """Record golden vectors.

    Args:
        model: A built ``FlowModel``.
        latents: [n, *latent_shape], any real dtype; by default ``likely_latents``.

    Returns:
        The latents, and the codes and logdets that the layers themselves make of them, not their compiled form.

    Raises:
        ValueError: The model is no flow, or not built; the latents are not of its shape, or they or the results are not
            finite.
    """
    if not isinstance(model, FlowModel):
        raise ValueError(f"A flow must be a FlowModel or a subclass of it. Received: {type(model).__name__}")  # noqa: TRY004 - a file may hold any model.
    flow = LayeredFlow(model)
    rows = likely_latents(flow) if latents is None else np.asarray(latents, flow.dtype)
    if rows.shape[1:] != flow.latent_shape or rows.ndim != 1 + len(flow.latent_shape) or not len(rows):
        expected = ", ".join(["n", *map(str, flow.latent_shape)])
        raise ValueError(
            f"Golden rows must be latents of the shape [{expected}], n at least 1. Received: {list(rows.shape)}"
        )
    golden = Golden(rows, *flow.encode(rows))
    for name, values in (("golden rows", rows), ("their codes", golden.codes), ("their logdets", golden.logdet)):
        if not np.isfinite(values).all():
            row = int(np.flatnonzero(~np.isfinite(values).reshape(len(values), -1).all(axis=1))[0])
            raise ValueError(
                f"{name.capitalize()} must be finite in {flow.dtype}; give other rows. Received: row {row}"
            )
    return golden


def write_golden(path: Path, golden: Golden) -> None:
    """Write a ``golden.safetensors``."""
    path.write_bytes(save({"latents": golden.latents, "codes": golden.codes, "logdet": golden.logdet}))
