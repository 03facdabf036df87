"""What a codec is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from app.tensors import Form
from gyoza.inference.plan import Floats


class TensorReader(Protocol):
    """Makes arrays of a body's values, and remembers the form in which the first of them came."""

    def __init__(self, dtype: np.dtype[np.floating[Any]]) -> None:
        """Cast to ``dtype``, the flow's."""

    @property
    def form(self) -> Form:
        """The form of the body's first tensor; lists where it had none."""

    def __call__(self, value: Any) -> Floats:
        """Make one array [n, …] of a value.

        Raises:
            TensorError: The value is no tensor, or holds an entry that is not finite in the dtype.
            MalformedBody: Its bytes can't be decoded.
        """


@dataclass(frozen=True)
class Codec:
    """One way between bytes and values."""

    media_type: str
    decode: Callable[[bytes], Mapping[str, object]]
    """A body to its fields, tensors as a ``reader`` takes them."""
    reader: Callable[[np.dtype[np.floating[Any]]], TensorReader]
    encode: Callable[[Mapping[str, Any], Form], bytes]
    """Fields to a body: ``Tensors`` in the given form, everything else as it is."""
