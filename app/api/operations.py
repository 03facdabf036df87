"""The flow endpoints in array code: each composes the engine's primitives, and knows no HTTP."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias, TypeVar

import numpy as np

from app.engine import Engine
from app.errors import Conflict, TooLarge
from app.model import Model, Primitive
from app.repository import Entry
from app.schemas import InvertRequest, LatentsRequest
from app.tensors import FactorLayout, check_results, check_shape, round_trip_error
from app.timings import Timings
from gyoza.inference.plan import Floats

T = TypeVar("T")
LARGE = 2**20
"""What is larger, in bytes, is worked on in a thread. Less takes 1 or 2 ms, and a thread would not keep others going much
better: parsing and writing JSON hold the interpreter there too, and handing 64 rows over costs a tenth of the rows/s."""
Fields: TypeAlias = Mapping[str, Any]
"""The fields of an answer: arrays, and arrays by the names of factors."""


@dataclass(frozen=True)
class Call:
    """One request to one version of a model."""

    engine: Engine
    entry: Entry
    model: Model
    deadline: float
    max_rows: int
    check: bool = False
    """Whether ``?check=true`` asks for the round-trip error."""
    timings: Timings = field(default_factory=Timings)
    """Where to note how long the parts of the request took."""

    @property
    def layout(self) -> FactorLayout:
        """The model's factor layout.

        Raises:
            Conflict: It has none.
        """
        return layout_of(self.entry, self.model)

    async def encode(self, latents: Floats) -> dict[str, Floats]:
        """Encode latents [n, *latent_shape] from outside: -> codes, logdet, log_likelihood."""
        self._check(latents, self.model.flow.latent_shape, "latents")
        codes, logdet, likelihood = await self._run(Primitive.ENCODE, latents)
        # It sums the squares of the codes and the logdet: where one of them is not finite, it is not either.
        check_results("latents", codes.dtype, likelihood)
        return {"codes": codes, "logdet": logdet, "log_likelihood": likelihood}

    async def invert(self, codes: Floats, field: str) -> dict[str, Floats]:
        """Invert codes [n, *code_shape] from outside: -> latents, and round_trip_error if that is asked for."""
        self._check(codes, self.model.flow.code_shape, field)
        (latents,) = await self._run(Primitive.INVERT, codes)
        await beside(latents.nbytes, partial(check_results, field, latents.dtype, latents))
        if not self.check:
            return {"latents": latents}
        again, *_ = await self._run(Primitive.ENCODE, latents)
        error = await beside(codes.nbytes, partial(checked_round_trip_error, field, again, codes))
        return {"latents": latents, "round_trip_error": error}

    async def _run(self, primitive: Primitive, rows: Floats) -> tuple[Floats, ...]:
        return await self.engine.run(self.entry, primitive, rows, self.deadline, self.timings)

    def _check(self, rows: Floats, row_shape: tuple[int, ...], field: str) -> None:
        check_shape(rows, row_shape, field)
        if len(rows) > self.max_rows:
            raise TooLarge(
                f"A request may have at most {self.max_rows} rows. Received: {len(rows)}. Send fewer at once, or raise "
                "GYOZA_MAX_ROWS."
            )


def layout_of(entry: Entry, model: Model) -> FactorLayout:
    """Return a model's factor layout.

    Raises:
        Conflict: It has none.
    """
    if model.layout is None:
        raise Conflict(
            f"{entry.name} must have a factor layout for this, and has none. Add [[factors]] tables (name, size; in order, "
            "the residual first) to flow.toml beside its flow.keras and restart; or use encode, and invert with codes."
        )
    return model.layout


def checked_round_trip_error(field: str, found: Floats, expected: Floats) -> Floats:
    """Return the round-trip error [n] of codes [n, …], once it is known to be finite."""
    error = round_trip_error(found, expected)
    check_results(field, expected.dtype, error)
    return error


async def beside(size: int, work: Callable[[], T]) -> T:
    """Run work on ``size`` bytes: at once where that is quick, else in a thread, so that others need not wait for it."""
    return await asyncio.to_thread(work) if size > LARGE else work()


def size_of(fields: Fields) -> int:
    """Count the bytes of all arrays."""
    size = 0
    for value in fields.values():
        if isinstance(value, np.ndarray):
            size += value.nbytes
        elif isinstance(value, dict):
            size += size_of(value)
    return size


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
