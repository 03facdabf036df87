"""A small application that answers as the contract says, for what the service itself does not answer yet.

Once it does, the tests that stand on this application are to be pointed at the service. Its flow is the tiny one, its decoder
doubles latents, its encoder halves inputs.
"""

import asyncio
import base64
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import numpy as np
import orjson
from safetensors.numpy import load, save
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.tensors import FactorLayout, log_likelihood, round_trip_error
from tests.app.worlds import FACTORS, LATENTS, affine

FLOW = affine()
LAYOUT = FactorLayout.of((name, size, None, None) for name, size in FACTORS.items())
SAFETENSORS = "application/vnd.safetensors"
SAMPLED = 4


def array_of(value: Any) -> Any:
    """Read a tensor in base64 or as lists."""
    if isinstance(value, list):
        return np.array(value, np.float32)
    return np.frombuffer(base64.b64decode(value["base64"]), value["dtype"]).reshape(value["shape"]).astype(np.float32)


def tensor_of(array: Any) -> dict[str, Any]:
    """Write a tensor in base64."""
    data = np.ascontiguousarray(array, "<f4")
    return {"dtype": "float32", "shape": data.shape, "base64": base64.b64encode(data.tobytes()).decode()}


def encoded(latents: Any) -> tuple[Any, Any]:
    """Return codes and log-likelihoods of latents."""
    codes, logdet = FLOW.encode(latents)
    return codes, log_likelihood(codes, logdet)


def apply(codes: Any, edit: Mapping[str, Any]) -> Any:
    """Return codes with one edit."""
    (factor,) = (factor for factor in LAYOUT.factors if factor.name == edit["factor"])
    (operation,) = edit.keys() - {"factor"}
    value, own, columns = edit[operation], codes[:, factor.columns], factor.columns
    changed: Mapping[str, Callable[[], Any]] = {
        "set": lambda: array_of(value),
        "shift": lambda: own + array_of(value),
        "scale": lambda: own * value,
        "swap": lambda: encoded(array_of(value))[0][:, columns],
        "blend": lambda: (
            (1 - value["weight"]) * own + value["weight"] * encoded(array_of(value["latents"]))[0][:, columns]
        ),
        "sample": lambda: drawn(value["seed"], len(codes))[:, columns],
    }
    result = codes.copy()
    result[:, columns] = changed[operation]()
    return result


def drawn(seed: int, count: int) -> Any:
    """Return the first draws of the frozen stream."""
    return np.random.RandomState(seed).standard_normal((count, SAMPLED)).astype(np.float32)


async def edit(request: Request) -> Response:
    """Edit latents."""
    body = orjson.loads(await request.body())
    latents = array_of(body["latents"])
    before, after = encoded(latents), encoded(latents)[0]
    for item in body["edits"]:
        after = apply(after, item)
    result = FLOW.invert(after)
    again, likelihood = encoded(result)
    changes = {"before": before[1].tolist(), "after": likelihood.tolist()}
    fields = {"latents": tensor_of(result), "codes": tensor_of(after), "log_likelihood": changes}
    return answered(request, {**fields, "round_trip_error": round_trip_error(again, after).tolist()}, result)


async def traverse(request: Request) -> Response:
    """Set dimensions to values."""
    body = orjson.loads(await request.body())
    ranges = [np.linspace(axis["from"], axis["to"], axis["steps"]) for axis in body["axes"]]
    positions = np.stack(np.meshgrid(*ranges, indexing="ij"), -1).reshape(-1, len(ranges))
    codes = np.repeat(encoded(array_of(body["latents"]))[0], len(positions), 0)
    starts = {factor.name: factor.start for factor in LAYOUT.factors}
    for number, axis in enumerate(body["axes"]):
        codes[:, starts[axis["factor"]] + axis["dimension"]] = positions[:, number]
    result = FLOW.invert(codes)
    return answered(request, {"positions": positions.tolist(), "latents": tensor_of(result)}, result)


async def sample(request: Request) -> Response:
    """Draw codes."""
    body = orjson.loads(await request.body())
    seed = body.get("seed", 7)
    codes = drawn(seed, body["count"])
    for factor in LAYOUT.factors:
        if factor.name in body.get("factors", {}):
            codes[:, factor.columns] = array_of(body["factors"][factor.name])
    result = FLOW.invert(codes)
    fields = {"seed": seed, "latents": tensor_of(result), "codes": tensor_of(codes)}
    return answered(request, {**fields, "log_likelihood": encoded(result)[1].tolist()}, result)


async def halve(request: Request) -> Response:
    """Make latents of inputs."""
    return await mapped(request, "inputs", "latents", lambda inputs: inputs / 2)


async def double(request: Request) -> Response:
    """Make outputs of latents."""
    return await mapped(request, "latents", "outputs", lambda latents: latents * 2)


async def invert(request: Request) -> Response:
    """Invert codes, and decode what comes of them."""
    return await mapped(request, "codes", "latents", FLOW.invert, decode="decode" in request.query_params)


async def mapped(
    request: Request, taken: str, given: str, function: Callable[[Any], Any], *, decode: bool = False
) -> Response:
    """Map the array of a body by a function, in the format of the body."""
    body = await request.body()
    is_binary = request.headers["content-type"] == SAFETENSORS
    arrays = {given: function(load(body)[taken] if is_binary else array_of(orjson.loads(body)[taken]))}
    if decode:
        arrays["outputs"] = arrays[given] * 2
    return (
        binary(arrays) if is_binary else answered(request, {name: tensor_of(array) for name, array in arrays.items()})
    )


async def examples(request: Request) -> Response:
    """Give the example latents: a safetensors file to who asks for one, lists to all others."""
    if SAFETENSORS in request.headers["accept"]:
        return binary({"latents": np.array(LATENTS, np.float32), "inputs": 2 * np.array(LATENTS, np.float32)})
    return answered(request, {"latents": LATENTS})


def binary(arrays: dict[str, Any]) -> Response:
    """Answer by a safetensors file."""
    return Response(save(arrays, {"model": "tiny", "version": "3"}), media_type=SAFETENSORS)


def answered(request: Request, fields: dict[str, Any], latents: Any = None) -> Response:
    """Answer by JSON, with outputs where they are asked for."""
    if request.query_params.get("decode") == "true" and latents is not None:
        fields["outputs"] = tensor_of(2 * latents)
    return Response(orjson.dumps({"model": "tiny", "version": "3", **fields}), media_type="application/json")


def contract_app() -> Starlette:
    """The application, below the paths of a default model, and of the version that answers."""
    endpoints = {
        "edit": edit,
        "traverse": traverse,
        "sample": sample,
        "latents": halve,
        "decode": double,
        "invert": invert,
    }
    prefixes = ("", "/models/tiny/versions/3")
    posts = [
        Route(f"{prefix}/{name}", endpoint, methods=["POST"])
        for prefix in prefixes
        for name, endpoint in endpoints.items()
    ]
    return Starlette(routes=[*posts, Route("/examples", examples)])


class Bridge(httpx.BaseTransport):
    """Asks an application from outside of any event loop."""

    def __init__(self, app: Any) -> None:
        """Remember it."""
        self._transport = httpx.ASGITransport(app)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Ask it in an event loop of one request."""
        return asyncio.run(self._handled(request))

    async def _handled(self, request: httpx.Request) -> httpx.Response:
        response = await self._transport.handle_async_request(request)
        return httpx.Response(response.status_code, headers=response.headers, content=await response.aread())
