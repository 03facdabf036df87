"""A flow that was read from a file, and what is known of it."""

from collections.abc import Mapping
from dataclasses import dataclass

from gyoza.inference.checks import Check
from gyoza.inference.compiled import CompiledFlow

__all__ = ["LoadedFlow"]


@dataclass(frozen=True, eq=False)
class LoadedFlow:
    """A flow that was read from a file, compiled and checked."""

    flow: CompiledFlow
    checks: tuple[Check, ...]
    """What was found, passed or not."""
    digest: str | None = None
    """The SHA-256 of the bytes that it was made of, in hexadecimal; None where that is not known."""

    @property
    def factors(self) -> Mapping[str, int] | None:
        """Factor names and sizes from the file itself, the residual first; None where it has none."""
        origin = self.flow.plan.origin
        return None if origin is None else origin.factors

    @property
    def layers(self) -> int | None:
        """How many flow layers the model had; None where that is not recorded."""
        origin = self.flow.plan.origin
        return None if origin is None else origin.layers

    @property
    def parameters(self) -> int | None:
        """How many numbers its weights held; None where that is not recorded."""
        origin = self.flow.plan.origin
        return None if origin is None else origin.parameters

    @property
    def libraries(self) -> Mapping[str, str]:
        """Library name to version, of the libraries that made the plan."""
        origin = self.flow.plan.origin
        return {} if origin is None else origin.libraries
