"""Tensors of requests made arrays of the flow's dtype: floats as they come, integers where that is exact."""

from math import prod
from typing import Any

import numpy as np

from app.codecs.arrays import MAX_AXES, finite_array
from app.codecs.nests import array_of_lists, array_of_parsed, shown
from app.codecs.oip.datatypes import BF16, FLOATS, INTEGERS, NAMES, WIRE
from app.codecs.oip.values import Input
from app.errors import FieldError, InvalidInput
from app.tensors import TensorError
from gyoza.inference.plan import Floats

Dtype = np.dtype[np.floating[Any]]


def array_of(tensor: Input, dtype: Dtype) -> Floats:
    """Make an array of a tensor, without a copy where its bytes are of the dtype and aligned.

    Args:
        tensor: Of the shape [n, …].
        dtype: The flow's.

    Returns:
        [n, …] in ``dtype``.

    Raises:
        InvalidInput: Its datatype is not read, its data do not fit its shape, or an entry is no number that is finite, for
            integers exact, in its datatype and in ``dtype``; the first such entry is named.
    """
    try:
        check_description(tensor)
        data = tensor.data
        array = of_bytes(tensor, data) if isinstance(data, memoryview) else of_json(tensor, data)
        return finite_array(array, dtype) if tensor.datatype not in INTEGERS else exact(array, dtype)
    except TensorError as error:
        place = "".join(f"[{position}]" for position in error.index)
        raise InvalidInput(FieldError(f"{tensor.name}{place}", str(error))) from error


def array_of_raw(name: str, data: memoryview, row_shape: tuple[int, ...], dtype: Dtype) -> Floats:
    """Make an array [n, *row_shape] of bytes that are floats of ``dtype``, little-endian in C order, and nothing else.

    Raises:
        InvalidInput: They are no whole number of rows, or an entry is not finite.
    """
    row_bytes = prod(row_shape) * dtype.itemsize
    if len(data) % row_bytes or not data:
        rule = f"must be raw rows of {prod(row_shape)} {NAMES[dtype.itemsize]}, {row_bytes} bytes each"
        raise InvalidInput(FieldError(name, f"{rule}. Received: {len(data)} bytes"))
    shape = (len(data) // row_bytes, *row_shape)
    return array_of(Input(name, NAMES[dtype.itemsize], shape, data, len(data)), dtype)


def check_description(tensor: Input) -> None:
    """Refuse a datatype that is no number, and a shape that no array of rows has."""
    if tensor.datatype not in WIRE:
        raise TensorError(f"must have the datatype {', '.join(WIRE)}. Received: {tensor.datatype[:32]}")
    if len(tensor.shape) > MAX_AXES:
        raise TensorError(f"must have at most {MAX_AXES} axes. Received: {len(tensor.shape)}")
    if not tensor.shape or 0 in tensor.shape:
        raise TensorError(f"must hold at least one row and one number in it. Received: shape {list(tensor.shape)}")


def of_bytes(tensor: Input, data: memoryview) -> Any:
    """Make an array of bytes."""
    wire, received = WIRE[tensor.datatype], len(data)
    needed = prod(tensor.shape) * wire.itemsize
    if needed != received:
        raise TensorError(
            f"of shape {list(tensor.shape)} and datatype {tensor.datatype} must have {needed} bytes. Received: {received}"
        )
    array: Any = np.frombuffer(data, wire)
    if tensor.datatype == BF16:
        array = (array.astype(np.uint32) << 16).view(np.float32)
    return array.reshape(tensor.shape)


def of_json(tensor: Input, data: object) -> Floats:
    """Make an array of the numbers in JSON, flat or nested; those of an integer datatype stay float64."""
    dtype: Dtype = np.dtype(np.float64)
    if tensor.datatype not in INTEGERS:
        dtype = FLOATS.get(tensor.datatype, FLOATS["FP32"])
    if not isinstance(data, list | np.ndarray):
        raise TensorError(f"must have a list of numbers as its data. Received: {shown(data)}")
    try:
        array = array_of_lists(data, dtype) if isinstance(data, list) else array_of_parsed(data, dtype)
    except TensorError as error:
        raise TensorError(str(error), place_in(tensor, error.index)) from error
    array = shaped(array, tensor.shape)
    if tensor.datatype in INTEGERS:
        check_integers(array, tensor.datatype)
    return array


def place_in(tensor: Input, index: tuple[int, ...]) -> tuple[int, ...]:
    """Return the index in a tensor of what has an index in its data, which may be flat."""
    data: Any = tensor.data
    if len(index) != 1 or isinstance(data[0], list | np.ndarray) or index[0] >= prod(tensor.shape):
        return index
    return tuple(map(int, np.unravel_index(index[0], tensor.shape)))


def shaped(array: Floats, shape: tuple[int, ...]) -> Floats:
    """Give an array of flat data its shape; nested data have it already."""
    if array.shape == shape:
        return array
    if array.ndim != 1 or array.size != prod(shape):
        count, received = prod(shape), list(array.shape)
        raise TensorError(
            f"must have {count} numbers as its data, flat or nested by its shape {list(shape)}. Received: data of {received}"
        )
    return array.reshape(shape)


def check_integers(array: Floats, datatype: str) -> None:
    """Refuse numbers that are none of an integer datatype."""
    limits = np.iinfo(INTEGERS[datatype])
    wrong = (array != np.trunc(array)) | (array < limits.min) | (array > limits.max)
    refuse(wrong, array, f"must be an integer from {limits.min} to {limits.max}")


def exact(array: Any, dtype: Dtype) -> Floats:
    """Cast integers, which must be so small that every one of their size is exact in ``dtype``."""
    limit = 2 ** (np.finfo(dtype).nmant + 1)
    refuse((array >= limit) | (array <= -limit), array, f"must be an integer below {limit}, to be exact in {dtype}")
    found: Floats = array.astype(dtype)
    return found


def refuse(wrong: Any, array: Any, rule: str) -> None:
    """Refuse an array in which any entry is wrong, naming the first."""
    if wrong.any():
        index = tuple(map(int, np.argwhere(wrong)[0]))
        raise TensorError(f"{rule}. Received: {array[index]}", index)
