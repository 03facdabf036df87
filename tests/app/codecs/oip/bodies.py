"""Bodies as clients of the Open Inference Protocol write and read them."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

DATATYPES = {
    **{np.dtype(f"f{size}"): f"FP{8 * size}" for size in (2, 4, 8)},
    **{np.dtype(f"i{size}"): f"INT{8 * size}" for size in (1, 2, 4, 8)},
    **{np.dtype(f"u{size}"): f"UINT{8 * size}" for size in (1, 2, 4, 8)},
}


def tensor_of(name: str, array: np.ndarray[Any, Any], way: str) -> dict[str, Any]:
    """Describe a tensor, with its numbers where they are not bytes."""
    described: dict[str, Any] = {"name": name, "shape": list(array.shape), "datatype": DATATYPES[array.dtype]}
    if way == "binary":
        return {**described, "parameters": {"binary_data_size": array.nbytes}}
    return {**described, "data": array.tolist() if way == "nested" else array.ravel().tolist()}


def body_of(
    tensors: Mapping[str, tuple[np.ndarray[Any, Any], str]], pad: int = 1, more: int = 0, **members: Any
) -> tuple[bytes, int | None]:
    """Write a request by hand; its JSON is as long as a multiple of ``pad``, and ``more``."""
    head = {"inputs": [tensor_of(name, *tensor) for name, tensor in tensors.items()], **members}
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % pad + more)
    blobs = [array.tobytes() for array, way in tensors.values() if way == "binary"]
    return text + b"".join(blobs), len(text) if blobs else None


def client_read(content: bytes, json_bytes: int | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read an answer as clients do: its head, and its arrays in order."""
    end = len(content) if json_bytes is None else json_bytes
    head, arrays = json.loads(content[:end]), {}
    dtypes = {name: dtype for dtype, name in DATATYPES.items()}
    for output in head["outputs"]:
        dtype = dtypes[output["datatype"]]
        if "data" in output:
            assert "parameters" not in output
            array = np.array(output["data"], dtype)
        else:
            size = output["parameters"]["binary_data_size"]
            array, end = np.frombuffer(content[end : end + size], dtype), end + size
        arrays[output["name"]] = array.reshape(output["shape"])
    assert end == len(content)
    return head, arrays
