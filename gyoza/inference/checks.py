"""Checks that prove a compiled flow before it serves: each compares two ways to the same numbers."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from gyoza.inference.plan import Floats

__all__ = [
    "GOLDEN_CHECK",
    "Check",
    "Flow",
    "Golden",
    "GoldenError",
    "Limits",
    "ShapedFlow",
    "check_agreement",
    "check_golden",
    "check_logdet",
    "check_round_trip",
    "failures",
    "limits",
    "probe_latents",
    "row_error",
]

PROBE_SEED = 0
GOLDEN_CHECK = "golden vectors"
"""The name of the check that a flow can only have where rows were recorded."""


@dataclass(frozen=True)
class Check:
    """What one check found."""

    name: str
    error: float
    """The largest error of a row, in units of 1 + max|row| (of 1 + |logdet| for logdets)."""
    limit: float
    """The largest error that passes."""

    @property
    def passed(self) -> bool:
        """Whether the error is within the limit; an error that is not a number never is."""
        return self.error <= self.limit


@dataclass(frozen=True)
class Limits:
    """The largest errors that pass in one dtype, in the units of ``Check.error``."""

    round_trip: float
    agreement: float
    logdet: float


FLOAT32_LIMITS = Limits(round_trip=1e-3, agreement=1e-4, logdet=1e-2)
FLOAT64_LIMITS = Limits(round_trip=1e-8, agreement=1e-8, logdet=1e-6)


@dataclass(frozen=True, eq=False)
class Golden:
    """Rows and what the flow made of them when it was packaged."""

    latents: Floats
    """[n, *latent_shape]."""
    codes: Floats
    """[n, *code_shape]."""
    logdet: Floats
    """[n]."""


class GoldenError(ValueError):
    """Golden rows are not of the shapes of the flow that they are to be met by; the text says which must come."""


class Flow(Protocol):
    """A flow on NumPy arrays, whichever way it computes."""

    def encode(self, latents: Floats) -> tuple[Floats, Floats]:
        """Map latents [n, *latent_shape] to codes [n, *code_shape] and logdet [n]."""

    def invert(self, codes: Floats) -> Floats:
        """Map codes [n, *code_shape] to latents [n, *latent_shape]."""


class ShapedFlow(Flow, Protocol):
    """One that tells its shape and dtype, as ``gyoza.inference.CompiledFlow`` does."""

    @property
    def latent_shape(self) -> tuple[int, ...]:
        """The shape of one latent, without the batch axis."""

    @property
    def code_shape(self) -> tuple[int, ...]:
        """The shape of one code, without the batch axis."""

    @property
    def dtype(self) -> np.dtype[np.floating[Any]]:
        """What it computes in."""


def limits(dtype: np.dtype[Any]) -> Limits:
    """Return the limits for flows that compute in ``dtype``."""
    return FLOAT64_LIMITS if dtype == np.float64 else FLOAT32_LIMITS


def row_error(found: Floats, expected: Floats) -> float:
    """Return the largest of max|found − expected| / (1 + max|expected|) over rows.

    Args:
        found: [n, …].
        expected: [n, …], what it should be.

    Returns:
        The error; inf where the shapes differ or an entry is no finite number.
    """
    if found.shape != expected.shape:
        return float("inf")
    with np.errstate(invalid="ignore", over="ignore"):
        expected_rows = expected.reshape(len(expected), -1).astype(np.float64)
        found_rows = found.reshape(len(found), -1).astype(np.float64)
        errors = np.abs(found_rows - expected_rows).max(axis=1) / (1 + np.abs(expected_rows).max(axis=1))
    return float(np.nan_to_num(errors, nan=np.inf, posinf=np.inf).max())


def probe_latents(flow: ShapedFlow, count: int) -> Floats:
    """Draw latents that the flow finds likely.

    Args:
        flow: The compiled flow.
        count: How many.

    Returns:
        [count, *latent_shape], the inverses of codes from N(0, I), the same ones each time.
    """
    draws = np.random.RandomState(PROBE_SEED).standard_normal((count, *flow.code_shape))
    return flow.invert(draws.astype(flow.dtype))


def check_round_trip(flow: ShapedFlow, latents: Floats) -> Check:
    """Check that encode and invert undo each other, from either side.

    Args:
        flow: The compiled flow.
        latents: [n, *latent_shape].

    Returns:
        The error of latents, or of codes where that is larger, in units of 1 + max|row|.
    """
    codes, _ = flow.encode(latents)
    returned = flow.invert(codes)
    errors = row_error(returned, latents), row_error(flow.encode(returned)[0], codes)
    return Check("round trip", max(errors), limits(flow.dtype).round_trip)


def check_agreement(flow: ShapedFlow, reference: Flow, latents: Floats) -> Check:
    """Check that the compiled flow and a reference give the same codes, logdets and latents.

    Args:
        flow: The compiled flow.
        reference: Another way to the same numbers.
        latents: [n, *latent_shape].

    Returns:
        The largest of the three errors, in units of 1 + max|row|.
    """
    codes, logdet = flow.encode(latents)
    expected_codes, expected_logdet = reference.encode(latents)
    errors = (
        row_error(codes, expected_codes),
        row_error(logdet, expected_logdet),
        row_error(flow.invert(expected_codes), reference.invert(expected_codes)),
    )
    return Check("compiled as layers", max(errors), limits(flow.dtype).agreement)


def check_logdet(flow: ShapedFlow, autodiff_logdet: Callable[[Floats], Floats], latents: Floats) -> Check:
    """Check the logdet against one taken from the Jacobian by automatic differentiation.

    Args:
        flow: The compiled flow.
        autodiff_logdet: Latents [n, *latent_shape] to log|det J| [n].
        latents: [n, *latent_shape].

    Returns:
        The error in units of 1 + |logdet|.
    """
    _, logdet = flow.encode(latents)
    return Check("logdet by autodiff", row_error(logdet, autodiff_logdet(latents)), limits(flow.dtype).logdet)


def check_golden(flow: ShapedFlow, golden: Golden) -> Check:
    """Check that the flow makes of the golden rows what it made when it was packaged.

    Args:
        flow: The compiled flow.
        golden: The rows.

    Returns:
        The error of codes or logdets, the larger one, in units of 1 + max|row|.

    Raises:
        GoldenError: There are no rows, or the arrays are not of the flow's shapes and the same number of rows.
    """
    count = len(golden.latents) if golden.latents.ndim else 0
    for name, shape in (("latents", flow.latent_shape), ("codes", flow.code_shape), ("logdet", ())):
        found = getattr(golden, name).shape
        if found != (count, *shape) or count < 1:
            expected = ", ".join(["n", *map(str, shape)])
            raise GoldenError(
                f"the golden rows must be one or more, their {name} of the shape [{expected}], n the same for all. "
                f"Received: {name}.shape={found}. Record them anew from this flow"
            )
    codes, logdet = flow.encode(golden.latents)
    errors = row_error(codes, golden.codes), row_error(logdet, golden.logdet)
    return Check(GOLDEN_CHECK, max(errors), limits(flow.dtype).agreement)


def failures(checks: Iterable[Check]) -> str:
    """Return the checks that failed, with their figures, as one text; an empty one where all passed."""
    failed = [check for check in checks if not check.passed]
    return "; ".join(f"{check.name}: error {check.error:.3g}, limit {check.limit:.3g}" for check in failed)
