"""Bodies of answers: JSON alone where no tensor is wanted as bytes."""

from collections.abc import Mapping
from functools import lru_cache
from math import prod
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import orjson

from app.codecs.oip.datatypes import FLOATS, NAMES
from gyoza.inference.plan import Floats

Described: TypeAlias = tuple[str, str, tuple[int, ...]]
"""Name, datatype and shape of a tensor."""
ALIGNED = 8
"""The JSON is so many bytes long, or a multiple of them, so that readers need not copy the tensors behind it."""


class Head(NamedTuple):
    """What an answer says besides its tensors."""

    model: str
    version: str
    id: str


class Written(NamedTuple):
    """A body."""

    content: bytes
    json_bytes: int | None
    """So many of its bytes are JSON; None: all, and nothing is behind it."""


def written(head: Head, outputs: Mapping[str, Floats], wanted: Mapping[str, bool]) -> Written:
    """Write an answer.

    Args:
        head: What it says besides.
        outputs: The results [n, …], all of them.
        wanted: The names of those that are sent, in order, and whether each as bytes, little-endian in C order.
    """
    described = tuple((name, NAMES[outputs[name].itemsize], outputs[name].shape) for name in wanted)
    if not all(wanted.values()):
        text = in_json(head, outputs, wanted, described)
        if not any(wanted.values()):
            return Written(text, None)
    else:
        # The id differs from answer to answer, the rest is mostly what it was.
        text = b'{"id":%b,%b' % (orjson.dumps(head.id), binary_json(head.model, head.version, described))
    text += b" " * (-len(text) % ALIGNED)
    blobs: list[Any] = [
        np.ascontiguousarray(outputs[name], FLOATS[datatype]) for name, datatype, _ in described if wanted[name]
    ]
    return Written(b"".join([text, *blobs]), len(text))


@lru_cache(maxsize=256)
def binary_json(model: str, version: str, described: tuple[Described, ...]) -> bytes:
    """Write the JSON of an answer whose tensors all come as bytes, from behind its id on."""
    outputs = [description(*tensor, binary=True) for tensor in described]
    return orjson.dumps({"model_name": model, "model_version": version, "outputs": outputs})[1:]


def in_json(
    head: Head, outputs: Mapping[str, Floats], wanted: Mapping[str, bool], described: tuple[Described, ...]
) -> bytes:
    """Write the JSON of an answer, with the numbers of the tensors that are not wanted as bytes."""
    tensors = []
    for tensor in described:
        item = description(*tensor, binary=wanted[tensor[0]])
        if not wanted[tensor[0]]:
            item["data"] = np.ascontiguousarray(outputs[tensor[0]]).reshape(-1)
        tensors.append(item)
    content = {"id": head.id, "model_name": head.model, "model_version": head.version, "outputs": tensors}
    return orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)


def description(name: str, datatype: str, shape: tuple[int, ...], *, binary: bool) -> dict[str, Any]:
    """Describe a tensor, with the bytes that it has behind the JSON."""
    found: dict[str, Any] = {"name": name, "datatype": datatype, "shape": shape}
    if binary:
        found["parameters"] = {"binary_data_size": prod(shape) * FLOATS[datatype].itemsize}
    return found
