"""Tensors as JSON holds them, nested lists or base64, made arrays in one step."""

import base64
import binascii
from collections.abc import Iterator
from itertools import chain
from math import prod
from typing import Any

import numpy as np

from app.codecs.arrays import MAX_AXES, casted, finite_array
from app.errors import MalformedBody
from app.tensors import Form, TensorError
from gyoza.inference.plan import Floats

WIRE_DTYPES = {name: np.dtype(name).newbyteorder("<") for name in ("float16", "float32", "float64")}
NUMBERS = frozenset({int, float})
BASE64_KEYS = frozenset({"dtype", "shape", "base64"})
TENSOR = 'nested lists of numbers or {"dtype", "shape", "base64"}'


class JsonReader:
    """Makes arrays of JSON values.

    Args:
        dtype: The flow's; what is not finite in it is refused.
    """

    def __init__(self, dtype: np.dtype[np.floating[Any]]) -> None:
        """Start without a form: the first tensor sets it."""
        self._dtype = dtype
        self._form: Form | None = None

    @property
    def form(self) -> Form:
        """The form of the first tensor; lists where there was none."""
        return self._form or Form.LISTS

    def __call__(self, value: object) -> Floats:
        """Make one array [n, …] of nested lists, of the array that they were parsed to, or of an object with base64.

        Raises:
            TensorError: The value is no tensor, or holds an entry that is not finite in the dtype.
            MalformedBody: Its base64 can't be decoded to as many bytes as its shape needs.
        """
        if isinstance(value, dict):
            self._form = self._form or Form.BASE64
            return array_of_base64(value, self._dtype)
        self._form = self._form or Form.LISTS
        if isinstance(value, np.ndarray):
            return array_of_parsed(value, self._dtype)
        return array_of_lists(value, self._dtype)


def array_of_parsed(value: Floats, dtype: np.dtype[np.floating[Any]]) -> Floats:
    """Cast an array of float64 that was parsed from nested lists; all must be finite in ``dtype``."""
    array = casted(value, dtype)
    if np.isfinite(array).all():
        return array
    raise next(faults(value.tolist(), value.shape, dtype, ()))


def array_of_lists(value: object, dtype: np.dtype[np.floating[Any]]) -> Floats:
    """Make an array of nested lists of numbers, all finite in ``dtype``."""
    shape = shape_of(value)
    numbers = flatten(value, shape)
    if numbers is not None:
        try:
            with np.errstate(over="ignore"):
                array = np.array(numbers, np.float64).astype(dtype).reshape(shape)
        except OverflowError:  # An integer beyond float64.
            array = None
        if array is not None and np.isfinite(array).all():
            return array
    raise next(faults(value, shape, dtype, ()))


def shape_of(value: object) -> tuple[int, ...]:
    """Return the shape that a nest has if it is regular, as its first entries tell."""
    shape = []
    while isinstance(value, list):
        shape.append(len(value))
        value = value[0] if value else None
    return tuple(shape)


def flatten(value: object, shape: tuple[int, ...]) -> list[float] | None:
    """Return the numbers of a nest in C order; None if it has not the shape or holds anything else."""
    if not isinstance(value, list) or 0 in shape or len(shape) > MAX_AXES:
        return None
    for size in shape[1:]:
        if set(map(type, value)) != {list} or set(map(len, value)) != {size}:
            return None
        value = list(chain.from_iterable(value))
    return value if NUMBERS.issuperset(map(type, value)) else None


def faults(
    value: object, shape: tuple[int, ...], dtype: np.dtype[np.floating[Any]], index: tuple[int, ...]
) -> Iterator[TensorError]:
    """Yield what keeps a nest from being an array of ``shape``, in C order."""
    if len(shape) + len(index) > MAX_AXES:
        yield TensorError(f"must be {TENSOR} of at most {MAX_AXES} axes", index)
    elif not shape:
        yield from number_faults(value, dtype, index)
    elif not isinstance(value, list):
        yield TensorError(f"must be a list of {shape[0]}, as the ones before it. Received: {shown(value)}", index)
    elif not value:
        yield TensorError("must hold at least one row and one number in it. Received: an empty list", index)
    elif len(value) != shape[0]:
        yield TensorError(f"must have {shape[0]} entries, as the ones before it. Received: {len(value)}", index)
    else:
        for position, item in enumerate(value):
            yield from faults(item, shape[1:], dtype, (*index, position))


def number_faults(value: object, dtype: np.dtype[np.floating[Any]], index: tuple[int, ...]) -> Iterator[TensorError]:
    """Yield what keeps a value from being a number that is finite in ``dtype``."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        what = "a number" if index else TENSOR
        yield TensorError(f"must be {what}. Received: {shown(value)}", index)
    elif not index:
        yield TensorError(f"must be {TENSOR}, [[…]] for one row. Received: {shown(value)}", index)
    elif not is_finite(value, dtype):
        yield TensorError(f"must be finite in {dtype}. Received: {shown(value)}", index)


def is_finite(value: float, dtype: np.dtype[np.floating[Any]]) -> bool:
    """Whether a number of any size is finite once it is cast to ``dtype``."""
    with np.errstate(over="ignore"):
        try:
            return bool(np.isfinite(dtype.type(value)))
        except OverflowError:
            return False


def shown(value: object) -> str:
    """Name a JSON value in a few characters."""
    if isinstance(value, list | np.ndarray):
        return "a list"
    if isinstance(value, dict):
        return "an object"
    text = (
        {None: "null", True: "true", False: "false"}[value] if value is None or isinstance(value, bool) else repr(value)
    )
    return text if len(text) <= 32 else f"{text[:32]}…"


def array_of_base64(value: dict[str, object], dtype: np.dtype[np.floating[Any]]) -> Floats:
    """Make an array of ``{"dtype", "shape", "base64"}``: little-endian, C order, all finite in ``dtype``."""
    source, shape = base64_header(value)
    text = value["base64"]
    if not isinstance(text, str):
        raise TensorError(f"base64 must be a text. Received: {shown(text)}")
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedBody(
            f"A tensor's base64 must be base64 of RFC 4648. It can't be decoded: {error}. Encode the bytes with the "
            "letters A-Z, a-z, 0-9, + and /, padded with =."
        ) from error
    if len(data) != prod(shape) * source.itemsize:
        raise MalformedBody(
            f"A tensor of shape {list(shape)} and dtype {source.name} must have {prod(shape) * source.itemsize} bytes. "
            f"Received: {len(data)}. Send as many bytes as that, or the shape and dtype that fit them."
        )
    return finite_array(np.frombuffer(data, source).reshape(shape), dtype)


def base64_header(value: dict[str, object]) -> tuple[np.dtype[Any], tuple[int, ...]]:
    """Check the dtype and shape of a base64 tensor."""
    if value.keys() != BASE64_KEYS:
        raise TensorError(f"must be {TENSOR}. Received: an object with the keys {', '.join(value) or 'none'}")
    dtype, shape = value["dtype"], value["shape"]
    if not isinstance(dtype, str) or dtype not in WIRE_DTYPES:
        raise TensorError(f"dtype must be one of {', '.join(WIRE_DTYPES)}. Received: {shown(dtype)}")
    if not isinstance(shape, list) or not 1 <= len(shape) <= MAX_AXES or not all(map(is_size, shape)):
        raise TensorError("shape must be a list of integers, each 1 or more, rows first")
    return WIRE_DTYPES[dtype], tuple(shape)


def is_size(value: object) -> bool:
    """Whether a value is an integer of 1 or more."""
    return type(value) is int and value >= 1
