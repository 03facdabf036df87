"""What calls return: arrays with their shapes, and the model and version that answered."""

from collections.abc import Mapping
from dataclasses import dataclass

from gyoza.client.arrays import Floats

__all__ = [
    "Change",
    "Decoded",
    "Edited",
    "Embedded",
    "Encoded",
    "Examples",
    "Factors",
    "Inverted",
    "Result",
    "Sampled",
    "Traversed",
]


@dataclass(frozen=True, eq=False, kw_only=True)
class Result:
    """Base of all results. Arrays are the caller's own, and of the flow's dtype (of lists in JSON: float64)."""

    model: str
    version: str


@dataclass(frozen=True, eq=False, kw_only=True)
class Encoded(Result):
    """Codes of latents."""

    codes: Floats
    """[n, *code_shape]."""
    logdet: Floats
    """[n], log|det T'(z)| of each row."""
    log_likelihood: Floats
    """[n], log N(code; 0, I) + logdet of each row."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Factors(Result):
    """Factors of latents."""

    factors: Mapping[str, Floats]
    """Each [n, its size], in the order of the code."""
    logdet: Floats
    """[n]."""
    log_likelihood: Floats
    """[n]."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Inverted(Result):
    """Latents of codes or factors."""

    latents: Floats
    """[n, *latent_shape]."""
    round_trip_error: Floats | None = None
    """[n], max abs T(T⁻¹(c)) − c of each row; None: it was not asked for."""
    outputs: Floats | None = None
    """[n, *output_shape], what the model's decoder makes of the latents; None: it was not asked for."""


@dataclass(frozen=True, eq=False)
class Change:
    """A number a row, before and after an edit."""

    before: Floats
    """[n]."""
    after: Floats
    """[n]."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Edited(Result):
    """Latents with edited factors."""

    latents: Floats
    """[n, *latent_shape]."""
    codes: Floats
    """[n, *code_shape], as they were edited."""
    log_likelihood: Change
    """[n] each; an edit that makes it much lower has left what the flow knows."""
    round_trip_error: Floats
    """[n], max abs T(T⁻¹(c)) − c of each edited row."""
    outputs: Floats | None = None
    """[n, *output_shape]; None: they were not asked for."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Traversed(Result):
    """Latents along one or two dimensions of factors, m = steps or steps · steps rows in C order."""

    positions: Floats
    """[m, axes], the values that were set."""
    latents: Floats
    """[m, *latent_shape]."""
    outputs: Floats | None = None
    """[m, *output_shape]; None: they were not asked for."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Sampled(Result):
    """Latents of drawn codes."""

    seed: int
    """What draws them again."""
    latents: Floats
    """[n, *latent_shape]."""
    codes: Floats
    """[n, *code_shape]."""
    log_likelihood: Floats
    """[n]."""
    outputs: Floats | None = None
    """[n, *output_shape]; None: they were not asked for."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Embedded(Result):
    """Latents of inputs, by the model's encoder."""

    latents: Floats
    """[n, *latent_shape]."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Decoded(Result):
    """Outputs of latents, by the model's decoder."""

    outputs: Floats
    """[n, *output_shape]."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Examples(Result):
    """A few latents that ship with the model."""

    latents: Floats
    """[n, *latent_shape]."""
    inputs: Floats | None = None
    """[n, *input_shape], what they are the latents of; None: the model ships none."""
