"""What a flow loses on the way there and back."""

import numpy as np
from numpy.typing import ArrayLike

from gyoza.inference.checks import Flow
from gyoza.metrics.arrays import Floats, as_numbers

__all__ = ["round_trip_error"]


def round_trip_error(flow: Flow, latents: ArrayLike) -> Floats:
    """Return how far each latent is from what the inverted flow makes of its code: max |T⁻¹(T(x)) − x|.

    Args:
        flow: Such as a ``gyoza.inference.CompiledFlow``.
        latents: [n, *latent_shape].

    Returns:
        [n], float64; inf for a row that does not come back as finite numbers.

    Raises:
        TypeError: The latents are no real numbers.
        ValueError: They are not finite, or of another shape than the flow's.

    Example:
        >>> from gyoza.inference import CompiledFlow
        >>> from gyoza.inference.plan import Affine, Plan
        >>> double = Affine(np.full(2, 2.0), np.zeros(2))
        >>> flow = CompiledFlow(Plan((double,), (2,), (2,), np.dtype("float32")))
        >>> round_trip_error(flow, [[1.0, 2.0], [0.5, 0.25]])
        array([0., 0.])
    """
    given = as_numbers(latents, "latents")
    returned = np.asarray(flow.invert(flow.encode(np.asarray(latents))[0]), np.float64)
    errors = np.abs(returned - given).reshape(len(given), -1)
    return np.asarray(np.where(np.isnan(errors), np.inf, errors).max(axis=1))
