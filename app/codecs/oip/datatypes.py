"""The protocol's datatypes, as far as they are numbers that a flow can take."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

BF16 = "BF16"
"""The upper half of an FP32, for which NumPy has no dtype."""
FLOATS: Mapping[str, np.dtype[np.floating[Any]]] = MappingProxyType(
    {"FP16": np.dtype("<f2"), "FP32": np.dtype("<f4"), "FP64": np.dtype("<f8")}
)
INTEGERS: Mapping[str, np.dtype[np.integer[Any]]] = MappingProxyType(
    {
        f"{sign}INT{8 * size}": np.dtype(f"<{kind}{size}")
        for sign, kind in (("", "i"), ("U", "u"))
        for size in (1, 2, 4, 8)
    }
)
WIRE: Mapping[str, np.dtype[Any]] = MappingProxyType({**FLOATS, BF16: np.dtype("<u2"), **INTEGERS})
"""How a tensor of each datatype lies in bytes; those that are missing here are not read."""
NAMES: Mapping[int, str] = MappingProxyType({dtype.itemsize: name for name, dtype in FLOATS.items()})
"""The bytes of a float to its datatype."""
