"""Wire formats, as a client speaks them: named arrays to a body, an answer's body to named arrays."""

from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import orjson

from benchmarks.flows.specs import Floats

__all__ = ["FORMATS", "V2_PATH", "Format", "dump_safetensors", "join_v2", "load_safetensors"]

JSON, SAFETENSORS, V2_BINARY = "application/json", "application/vnd.safetensors", "application/octet-stream"
LENGTH = "Inference-Header-Content-Length"
V2_PATH = "/v2/models/flow_encode/infer"
"""Where the servers that are not ours speak the Open Inference Protocol."""
Arrays = Mapping[str, Floats]
Headers = Mapping[str, str]


@dataclass(frozen=True)
class Format:
    """One way between arrays and bytes."""

    family: str
    """``JSON`` or ``binary``: formats of one family are compared."""
    build: Callable[[Arrays], tuple[dict[str, str], bytes]]
    """Named arrays [n, D] to the headers and the body of a request."""
    parse: Callable[[Headers, bytes], dict[str, Floats]]
    """Headers, their names in lower case, and the body of an answer to named arrays."""


def build_lists(arrays: Arrays) -> tuple[dict[str, str], bytes]:
    """Build what a Python client sends: float32 values printed as doubles."""
    return {"Content-Type": JSON}, orjson.dumps({name: array.tolist() for name, array in arrays.items()})


def parse_json(_: Headers, body: bytes) -> dict[str, Floats]:
    """Parse lists, or tensors in base64; fields that are neither are left out."""
    fields = orjson.loads(body)
    return {name: as_array(value) for name, value in fields.items() if isinstance(value, list | dict)}


def as_array(value: list[Any] | dict[str, Any]) -> Floats:
    """Make an array of either form of a tensor."""
    if isinstance(value, list):
        return np.asarray(value, np.float32)
    array: Floats = np.frombuffer(b64decode(value["base64"]), value["dtype"]).reshape(value["shape"])
    return array


def build_base64(arrays: Arrays) -> tuple[dict[str, str], bytes]:
    """Build tensors in base64."""
    fields = {
        name: {"dtype": "float32", "shape": array.shape, "base64": b64encode(array.tobytes()).decode()}
        for name, array in arrays.items()
    }
    return {"Content-Type": JSON}, orjson.dumps(fields)


def build_safetensors(arrays: Arrays) -> tuple[dict[str, str], bytes]:
    """Build a safetensors file."""
    return {"Content-Type": SAFETENSORS, "Accept": SAFETENSORS}, dump_safetensors(arrays)


def dump_safetensors(arrays: Arrays) -> bytes:
    """Write float32 arrays as safetensors; by hand, since the library takes four times as long for small ones."""
    head, blobs, end = {}, [array.astype("<f4", order="C", copy=False).tobytes() for array in arrays.values()], 0
    for (name, array), blob in zip(arrays.items(), blobs, strict=True):
        head[name] = {"dtype": "F32", "shape": array.shape, "data_offsets": (end, end + len(blob))}
        end += len(blob)
    text = orjson.dumps(head)
    text += b" " * (-len(text) % 8)
    return b"".join([len(text).to_bytes(8, "little"), text, *blobs])


def load_safetensors(body: bytes) -> dict[str, Floats]:
    """Read the float32 and float64 arrays of a safetensors file."""
    start = 8 + int.from_bytes(body[:8], "little")
    head = orjson.loads(body[8:start])
    found: dict[str, Floats] = {}
    for name, info in head.items():
        if name != "__metadata__":
            first, last = (start + offset for offset in info["data_offsets"])
            dtype = {"F32": "<f4", "F64": "<f8"}[info["dtype"]]
            found[name] = np.frombuffer(body[first:last], dtype).reshape(info["shape"])
    return found


def build_v2_json(arrays: Arrays) -> tuple[dict[str, str], bytes]:
    """Build a request of the Open Inference Protocol, all JSON."""
    inputs = [{**tensor_of(name, array), "data": array.ravel().tolist()} for name, array in arrays.items()]
    return {"Content-Type": JSON}, orjson.dumps({"inputs": inputs})


def build_v2_binary(arrays: Arrays) -> tuple[dict[str, str], bytes]:
    """Build a request of the Open Inference Protocol with binary tensors, that asks for such."""
    outputs = [{"name": name, "parameters": {"binary_data": True}} for name in ("codes", "logdet")]
    return join_v2("inputs", arrays, outputs=outputs)


def join_v2(member: str, arrays: Arrays, **more: object) -> tuple[dict[str, str], bytes]:
    """Join JSON, of which one member describes tensors, and their bytes to headers and a body."""
    blobs = [array.astype("<f4", order="C", copy=False).tobytes() for array in arrays.values()]
    described = [
        {**tensor_of(name, array), "parameters": {"binary_data_size": len(blob)}}
        for (name, array), blob in zip(arrays.items(), blobs, strict=True)
    ]
    head = orjson.dumps({member: described, **more})
    return {"Content-Type": V2_BINARY, LENGTH: str(len(head))}, b"".join([head, *blobs])


def tensor_of(name: str, array: Floats) -> dict[str, object]:
    """Describe a tensor as the Open Inference Protocol does."""
    return {"name": name, "shape": array.shape, "datatype": "FP32"}


def parse_v2(headers: Headers, body: bytes) -> dict[str, Floats]:
    """Parse an answer of the Open Inference Protocol, its tensors in JSON or binary."""
    end = int(headers.get(LENGTH.lower(), len(body)))
    outputs, found = orjson.loads(body[:end])["outputs"], {}
    for output in outputs:
        if "data" in output:
            array = np.asarray(output["data"], np.float32)
        else:
            size = output["parameters"]["binary_data_size"]
            array, end = np.frombuffer(body[end : end + size], "<f4"), end + size
        found[output["name"]] = array.reshape(output["shape"])
    return found


def parse_joined(_: Headers, body: bytes) -> dict[str, Floats]:
    """Parse one array per row, whose last entry is the logdet: all that a batchable BentoML API can answer."""
    rows = np.asarray(orjson.loads(body), np.float32)
    return {"codes": rows[:, :-1], "logdet": rows[:, -1]}


def parse_safetensors(_: Headers, body: bytes) -> dict[str, Floats]:
    """Parse a safetensors file."""
    return load_safetensors(body)


FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "json": Format("JSON", build_lists, parse_json),
        "base64": Format("JSON", build_base64, parse_json),
        "joined-json": Format("JSON", build_lists, parse_joined),
        "v2-json": Format("JSON", build_v2_json, parse_v2),
        "safetensors": Format("binary", build_safetensors, parse_safetensors),
        "v2-binary": Format("binary", build_v2_binary, parse_v2),
    }
)
