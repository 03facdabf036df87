"""What the service needs of a file: a flow, compiled and checked."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import gyoza
from gyoza import modelling
from gyoza.inference import CompiledFlow, compile_flow
from gyoza.inference.checks import (
    Check,
    Golden,
    check_agreement,
    check_golden,
    check_logdet,
    check_round_trip,
    probe_latents,
)
from gyoza.loading.errors import LoadError
from gyoza.loading.models import read_model
from gyoza.modelling import flow_layers
from gyoza.modelling.reference import LayeredFlow

__all__ = ["LoadedFlow", "load_flow"]

PROBE_ROWS = 16
JACOBIAN_ROWS = 4
"""Fewer, since each needs a backward pass per dimension."""


@dataclass(frozen=True)
class LoadedFlow:
    """A flow read from a file, compiled, and what the checks of it found."""

    flow: CompiledFlow
    factors: Mapping[str, int] | None
    """Factor names and sizes from the file's own config, the residual first; None where it has none."""
    layers: int
    parameters: int
    libraries: Mapping[str, str]
    """Library name to version."""
    checks: tuple[Check, ...]


def load_flow(path: Path, golden: Golden | None = None) -> LoadedFlow:
    """Load, compile and check a flow.

    Args:
        path: A ``.keras`` file that holds a ``FlowModel``, written by this library or by gyoza 0.3.
        golden: Rows recorded when the flow was packaged, to be met again.

    Returns:
        The compiled flow with the figures of its checks, passed or not.

    Raises:
        LoadError: The file is no whole archive of Keras, names a class that is not on the list, holds no built flow, or
            its parts do not fit together; where that lies in one layer, the text names it.
    """
    model = read_model(path)
    if not isinstance(model, flow_layers.FlowModel):
        raise LoadError(f"{path.name} must hold a FlowModel or a subclass of it. Received: {type(model).__name__}")
    try:
        flow = compile_flow(model)
    except ValueError as error:
        raise LoadError(f"{path.name} can't be compiled: {error}") from error
    return LoadedFlow(
        flow=flow,
        factors=getattr(model, "factors", None),
        layers=len(model._flow_layers_),
        parameters=model.count_params(),
        libraries=library_versions(),
        checks=check_flow(flow, LayeredFlow(model), golden),
    )


def check_flow(flow: CompiledFlow, reference: LayeredFlow, golden: Golden | None) -> tuple[Check, ...]:
    """Run every check of a compiled flow against its layers."""
    latents = probe_latents(flow, PROBE_ROWS)
    checks = (
        check_agreement(flow, reference, latents),
        check_round_trip(flow, latents),
        check_logdet(flow, reference.autodiff_logdet, latents[:JACOBIAN_ROWS]),
    )
    return checks if golden is None else (*checks, check_golden(flow, golden))


def library_versions() -> dict[str, str]:
    """Return the versions of the libraries that made the numbers."""
    keras = modelling.keras
    return {"gyoza": gyoza.__version__, "keras": keras.__version__, "backend": keras.backend.backend()}
