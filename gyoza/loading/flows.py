"""What the service needs of a file: a flow, compiled and checked."""

from collections.abc import Iterable
from math import prod
from pathlib import Path

from gyoza.inference import CompiledFlow, LoadedFlow, compile_flow
from gyoza.inference.checks import (
    Check,
    Golden,
    check_agreement,
    check_golden,
    check_logdet,
    check_round_trip,
    probe_latents,
)
from gyoza.inference.files.validation import LARGEST_SIZE
from gyoza.loading.errors import LoadError
from gyoza.loading.models import read_with_digest
from gyoza.modelling import flow_layers
from gyoza.modelling.reference import LayeredFlow

__all__ = ["load_flow"]

PROBE_ROWS = 16
JACOBIAN_ROWS = 4
"""Fewer, since each needs a backward pass per dimension."""


def load_flow(path: Path, golden: Golden | None = None, trusted_modules: Iterable[str] = ()) -> LoadedFlow:
    """Load, compile and check a flow.

    Args:
        path: A ``.keras`` file that holds a ``FlowModel``, written by this library or by gyoza 0.3.
        golden: Rows recorded when the flow was packaged, to be met again.
        trusted_modules: Modules that are imported first, and whose classes, registered with Keras, are on the list too.

    Returns:
        The compiled flow with the figures of its checks, passed or not, and the digest of the bytes that it was read from.

    Raises:
        LoadError: The file is no whole archive of Keras, names a class that is not on the list, asks for more weights than
            it holds, holds no built flow, or its parts do not fit together; where that lies in one layer, the text names
            it. Or a trusted module can't be imported.
    """
    model, digest = read_with_digest(path, trusted_modules)
    if not isinstance(model, flow_layers.FlowModel):
        raise LoadError(f"{path.name} must hold a FlowModel or a subclass of it. Received: {type(model).__name__}")
    size = prod(axis or 1 for axis in model._layer_shapes_[0]) if model.built else 0
    if size > LARGEST_SIZE:
        raise LoadError(
            f"{path.name} must be a flow of latents of at most {LARGEST_SIZE:,} entries. Received: {size:,}"
        )
    try:
        flow = compile_flow(model)
    except ValueError as error:
        raise LoadError(f"{path.name} can't be compiled: {error}") from error
    return LoadedFlow(flow, check_flow(flow, LayeredFlow(model), golden), digest)


def check_flow(flow: CompiledFlow, reference: LayeredFlow, golden: Golden | None) -> tuple[Check, ...]:
    """Run every check of a compiled flow against its layers."""
    latents = probe_latents(flow, PROBE_ROWS)
    checks = (
        check_agreement(flow, reference, latents),
        check_round_trip(flow, latents),
        check_logdet(flow, reference.autodiff_logdet, latents[:JACOBIAN_ROWS]),
    )
    return checks if golden is None else (*checks, check_golden(flow, golden))
