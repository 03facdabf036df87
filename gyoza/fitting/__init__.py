"""Train a flow of one's own from latents and labels: what ``gyoza fit`` does, as a library.

Only what trains needs Keras, and so Keras is imported with it, not before.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from gyoza.fitting.settings import FitSettings

if TYPE_CHECKING:
    from gyoza.fitting.fitted import FittedFlow
    from gyoza.fitting.training import FlowFit, fit_flow

__all__ = ["FitSettings", "FittedFlow", "FlowFit", "fit_flow"]

WITH_KERAS = {"FittedFlow": "fitted", "FlowFit": "training", "fit_flow": "training"}


def __getattr__(name: str) -> Any:
    """Import what trains, and Keras, when it is first asked for."""
    if name not in WITH_KERAS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"gyoza.fitting.{WITH_KERAS[name]}"), name)
