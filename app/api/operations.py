"""The flow endpoints that map rows, in array code: each composes the engine's primitives, and knows no HTTP."""

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeAlias

from app.api.call import Call, Fields, beside
from app.schemas import InputsRequest, InvertRequest, LatentsRequest

Operation: TypeAlias = Callable[[Call, Any], Coroutine[Any, Any, Fields]]


async def encode(call: Call, body: LatentsRequest) -> Fields:
    """Map latents to codes."""
    return await call.encode(body.latents)


async def factors(call: Call, body: LatentsRequest) -> Fields:
    """Map latents to factors."""
    layout = call.layout
    results = await call.encode(body.latents)
    return {"factors": layout.split(results.pop("codes")), **results}


async def invert(call: Call, body: InvertRequest) -> Fields:
    """Map codes, or factors, to latents."""
    if body.codes is not None:
        return await call.invert(body.codes, "codes")
    size = sum(factor.nbytes for factor in body.factors.values())
    return await call.invert(await beside(size, partial(call.layout.join, body.factors)), "factors")


async def latents(call: Call, body: InputsRequest) -> Fields:
    """Map inputs to latents."""
    return await call.embed(body.inputs)


async def decode(call: Call, body: LatentsRequest) -> Fields:
    """Map latents to outputs."""
    return await call.decoded(body.latents)
