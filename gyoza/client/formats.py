"""Fields ↔ bytes: pure functions, looked up in a table by format for requests, and by media type for answers."""

from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

import numpy as np
import orjson
from safetensors.numpy import load, save

from gyoza.client.arrays import Floats

__all__ = ["DECODERS", "FORMATS", "JSON", "SAFETENSORS", "Fields", "Format", "FormatName"]

JSON, SAFETENSORS = "application/json", "application/vnd.safetensors"
Fields: TypeAlias = Mapping[str, Any]
"""Arrays by name, some of them in mappings by name, and texts and numbers."""
FormatName: TypeAlias = Literal["safetensors", "json", "lists"]
LENGTH_BYTES = 8
METADATA = "__metadata__"
DIGITS = 25
"""The most characters that a number and its comma take in JSON."""


@dataclass(frozen=True)
class Format:
    """One way from fields to the body of a request."""

    media_type: str
    encode: Callable[[Fields], bytes]
    size: Callable[[Floats], float]
    """How many bytes of a body an array takes, at most."""


def encode_safetensors(fields: Fields) -> bytes:
    """Write arrays as a safetensors file, those in a mapping as ``<field>.<name>``."""
    # The library takes every array for one in C order, and writes what lies behind others.
    return bytes(save({name: np.ascontiguousarray(array, little(array)) for name, array in flat(fields)}))


def little(array: Floats) -> np.dtype[Any]:
    """Return the dtype of an array, little-endian."""
    return array.dtype.newbyteorder("<")


def flat(fields: Fields) -> Iterator[tuple[str, Floats]]:
    """Yield arrays by name, those in a mapping by both names."""
    for name, value in fields.items():
        if isinstance(value, Mapping):
            yield from ((f"{name}.{inner}", array) for inner, array in value.items())
        else:
            yield name, value


def decode_safetensors(body: bytes) -> dict[str, Any]:
    """Read the arrays and the metadata of a safetensors file.

    Raises:
        Exception: It is none; the library has an error of its own for that.
    """
    arrays = load(body)
    # The library forgets the order of the arrays, and reads metadata from disks alone.
    length = int.from_bytes(body[:LENGTH_BYTES], "little")
    header = orjson.loads(body[LENGTH_BYTES : LENGTH_BYTES + length])
    fields: dict[str, Any] = header.pop(METADATA, {})
    for name in sorted(header, key=lambda name: header[name]["data_offsets"]):
        outer, dot, inner = name.partition(".")
        if dot:
            fields.setdefault(outer, {})[inner] = arrays[name]
        else:
            fields[outer] = arrays[name]
    return fields


def encode_json(tensor: Callable[[Floats], Any], fields: Fields) -> bytes:
    """Write fields as JSON, each array as ``tensor`` has it."""
    return orjson.dumps(written(tensor, fields), option=orjson.OPT_SERIALIZE_NUMPY)


def written(tensor: Callable[[Floats], Any], value: Any) -> Any:
    """Return what orjson writes for a value, and for all in it."""
    if isinstance(value, np.ndarray):
        return tensor(value)
    if isinstance(value, Mapping):
        return {name: written(tensor, inner) for name, inner in value.items()}
    return [written(tensor, inner) for inner in value] if isinstance(value, list | tuple) else value


def as_base64(array: Floats) -> dict[str, Any]:
    """Return what JSON holds for an array: its bytes, little-endian in C order, in base64."""
    data = np.ascontiguousarray(array, little(array))
    return {"dtype": data.dtype.name, "shape": data.shape, "base64": b64encode(data.data).decode("ascii")}


def as_lists(array: Floats) -> Floats:
    """Return what orjson writes as nested lists, without a Python object for each number."""
    return np.ascontiguousarray(array, array.dtype.newbyteorder("="))


def decode_json(body: bytes) -> dict[str, Any]:
    """Read the fields of an answer to arrays.

    Those in base64 have the dtype that they name. Lists name none: those with a number a row take it from the tensors
    beside them, all others are float64, which holds what any float of the service reads back to.

    Raises:
        ValueError: It is no JSON object, or something in it is no array.
    """
    fields = {name: read(value) for name, value in dict(orjson.loads(body)).items()}
    dtype = next((array.dtype for array in arrays(fields) if array.ndim > 1), np.dtype(np.float64))
    return {name: with_dtype(value, dtype) for name, value in fields.items()}


def read(value: Any) -> Any:
    """Make arrays of lists and of base64, also in an object; leave all else as it is."""
    if isinstance(value, list):
        return np.array(value, np.float64)
    if not isinstance(value, dict):
        return value
    if "base64" not in value:
        return {name: read(inner) for name, inner in value.items()}
    data = bytearray(b64decode(value["base64"], validate=True))
    return np.frombuffer(data, np.dtype(value["dtype"]).newbyteorder("<")).reshape(value["shape"])


def arrays(value: Any) -> Iterator[Floats]:
    """Yield the arrays in a value."""
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from arrays(inner)


def with_dtype(value: Any, dtype: np.dtype[Any]) -> Any:
    """Cast arrays of one axis, also in an object."""
    if isinstance(value, np.ndarray):
        return value.astype(dtype, copy=False) if value.ndim == 1 else value
    return {name: with_dtype(inner, dtype) for name, inner in value.items()} if isinstance(value, dict) else value


FORMATS: Mapping[FormatName, Format] = MappingProxyType(
    {
        "safetensors": Format(SAFETENSORS, encode_safetensors, lambda array: array.nbytes),
        "json": Format(JSON, partial(encode_json, as_base64), lambda array: array.nbytes * 4 / 3),
        "lists": Format(JSON, partial(encode_json, as_lists), lambda array: array.size * DIGITS),
    }
)
"""Arrays as bytes; in base64 within JSON; as nested lists within JSON."""
DECODERS: Mapping[str, Callable[[bytes], dict[str, Any]]] = MappingProxyType(
    {JSON: decode_json, SAFETENSORS: decode_safetensors}
)
