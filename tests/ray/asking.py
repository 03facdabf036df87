"""Requests to compare: what the service is asked in each format, well and badly."""

from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np
import orjson
from safetensors.numpy import save

SIZE = 32
LATENTS = np.random.RandomState(3).standard_normal((5, SIZE)).astype(np.float32)
SAFETENSORS = "application/vnd.safetensors"


@dataclass(frozen=True)
class Ask:
    """One request."""

    path: str
    content: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    method: str = "POST"


def lists(path: str, **fields: Any) -> Ask:
    """A request in JSON."""
    content = orjson.dumps(fields, option=orjson.OPT_SERIALIZE_NUMPY)
    return Ask(path, content, {"content-type": "application/json"})


def binary(path: str, **tensors: np.ndarray[Any, Any]) -> Ask:
    """A request in safetensors."""
    return Ask(path, save(tensors), {"content-type": SAFETENSORS, "accept": SAFETENSORS})


def infer(model: str, name: str, rows: np.ndarray[Any, Any]) -> Ask:
    """A request of the Open Inference Protocol with its numbers as bytes, answered in the same way."""
    tensor = {"name": name, "datatype": "FP32", "shape": rows.shape, "parameters": {"binary_data_size": rows.nbytes}}
    head = orjson.dumps({"id": "7", "inputs": [tensor], "parameters": {"binary_data_output": True}})
    headers = {"inference-header-content-length": str(len(head)), "content-type": "application/octet-stream"}
    return Ask(f"/v2/models/{model}/infer", head + rows.tobytes(), headers)


def asked(address: str, ask: Ask, request_id: str = "told-apart-by-none") -> tuple[Any, ...]:
    """Make a request; return what must be the same wherever it goes."""
    headers = {**ask.headers, "x-request-id": request_id}
    answer = httpx.request(ask.method, address + ask.path, content=ask.content, headers=headers, timeout=60)
    same = (
        "content-type",
        "retry-after",
        "allow",
        "x-request-id",
        "inference-header-content-length",
        "accept-encoding",
    )
    return answer.status_code, [answer.headers.get_list(name) for name in same], answer.content
