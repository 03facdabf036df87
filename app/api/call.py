"""One request to one version of a model: what the flow endpoints compose, the engine's primitives with checks around."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from math import prod
from typing import Any, TypeAlias, TypeVar

import numpy as np

from app.engine import Engine
from app.errors import Conflict, TooLarge
from app.halves import Half
from app.model import Model
from app.primitives import Primitive
from app.repository import Entry
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
    max_bytes: int
    """So large may a tensor be that a request does not bring itself."""
    max_json_bytes: int
    """So large may all of them be together in an answer that is JSON always: writing JSON holds the interpreter."""
    check: bool = False
    """Whether ``?check=true`` asks for the round-trip error."""
    decode: bool = False
    """Whether ``?decode=true`` asks for outputs."""
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
        codes, logdet, likelihood = await self.run(Primitive.ENCODE, latents)
        # It sums the squares of the codes and the logdet: where one of them is not finite, it is not either.
        check_results("latents", codes.dtype, likelihood)
        return {"codes": codes, "logdet": logdet, "log_likelihood": likelihood}

    async def invert(self, codes: Floats, field: str) -> dict[str, Floats]:
        """Invert codes [n, *code_shape] from outside: -> latents, and round_trip_error and outputs if they are asked for."""
        self._check(codes, self.model.flow.code_shape, field)
        self.check_outputs(len(codes))
        latents = await self.inverted(codes, field)
        results = {"latents": latents}
        if self.check:
            again, *_ = await self.run(Primitive.ENCODE, latents)
            results["round_trip_error"] = await beside(
                codes.nbytes, partial(checked_round_trip_error, field, again, codes)
            )
        return {**results, **await self.outputs(latents, field)}

    async def inverted(self, codes: Floats, field: str) -> Floats:
        """Invert codes [n, *code_shape], which are known to fit, to latents, which must be finite."""
        (latents,) = await self.run(Primitive.INVERT, codes)
        await beside(latents.nbytes, partial(check_results, field, latents.dtype, latents))
        return latents

    async def embed(self, inputs: Floats) -> dict[str, Floats]:
        """Map inputs [n, *input_shape] from outside to latents."""
        encoder = encoder_of(self.entry, self.model).run
        self._check(inputs, encoder.input_shape, "inputs")
        self.check_size("latents", len(inputs), encoder.output_shape)
        (latents,) = await self.run(Primitive.LATENTS, inputs)
        await beside(latents.nbytes, partial(check_results, "inputs", latents.dtype, latents))
        return {"latents": latents}

    async def decoded(self, latents: Floats) -> dict[str, Floats]:
        """Map latents [n, *latent_shape] from outside to outputs."""
        self._check(latents, self.model.flow.latent_shape, "latents")
        asking = replace(self, decode=True)
        asking.check_outputs(len(latents))
        return await asking.outputs(latents, "latents")

    def check_outputs(self, rows: int) -> None:
        """Refuse so many rows of outputs, if outputs are asked for, where they would be too large, or there is no decoder."""
        if self.decode:
            self.check_size("outputs", rows, decoder_of(self.entry, self.model).run.output_shape)

    async def outputs(self, latents: Floats, field: str) -> dict[str, Floats]:
        """Map latents to outputs, if they are asked for and were checked by ``check_outputs``."""
        if not self.decode:
            return {}
        (outputs,) = await self.run(Primitive.DECODE, latents)
        await beside(outputs.nbytes, partial(check_results, field, outputs.dtype, outputs))
        return {"outputs": outputs}

    async def run(self, primitive: Primitive, rows: Floats) -> tuple[Floats, ...]:
        """Run a primitive on rows that are known to fit."""
        return await self.engine.run(self.entry, primitive, rows, self.deadline, self.timings)

    def check_rows(self, rows: int) -> None:
        """Refuse more rows than a request may have."""
        if rows > self.max_rows:
            raise TooLarge(
                f"A request may have at most {self.max_rows} rows. Received: {rows}. Send fewer at once, or raise "
                "GYOZA_MAX_ROWS."
            )

    def check_size(self, name: str, rows: int, row_shape: tuple[int, ...]) -> None:
        """Refuse a tensor [rows, *row_shape] that a small request would make large, before anything is made of it."""
        size = rows * prod(row_shape) * self.model.flow.dtype.itemsize
        if size > self.max_bytes:
            raise TooLarge(
                f"The {name} of one answer may have at most {self.max_bytes} bytes. Received: a request for {rows} rows, "
                f"which have {size}. Ask for fewer at once, or raise GYOZA_MAX_BODY_BYTES."
            )

    def check_made(self, rows: int, *row_shapes: tuple[int, ...]) -> None:
        """Refuse tensors [rows, …], and outputs if they are asked for, that would be long in JSON together."""
        shapes = [*row_shapes]
        if self.decode:
            shapes.append(decoder_of(self.entry, self.model).run.output_shape)
        size = rows * sum(map(prod, shapes)) * self.model.flow.dtype.itemsize
        if size > self.max_json_bytes:
            raise TooLarge(
                f"The tensors of one answer in JSON may have at most {self.max_json_bytes} bytes together. Received: a "
                f"request for {rows} rows, which have {size}. Ask for fewer at once, or raise GYOZA_MAX_JSON_BYTES."
            )

    def _check(self, rows: Floats, row_shape: tuple[int, ...], field: str) -> None:
        check_shape(rows, row_shape, field)
        self.check_rows(len(rows))


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


def encoder_of(entry: Entry, model: Model) -> Half:
    """Return a model's encoder.

    Raises:
        Conflict: It has none.
    """
    return present(
        entry, model.beside.encoder, "encoder", "from inputs to latents", "send latents to the other endpoints"
    )


def decoder_of(entry: Entry, model: Model) -> Half:
    """Return a model's decoder.

    Raises:
        Conflict: It has none.
    """
    return present(entry, model.beside.decoder, "decoder", "from latents to outputs", "ask without ?decode=true")


def present(entry: Entry, half: Half | None, name: str, maps: str, instead: str) -> Half:
    """Return a half, or say how a model gets one and what can be done without."""
    if half is None:
        raise Conflict(
            f"The {name} of {entry.name} must be there for this, and it has none. Put {name}.keras, a Keras model {maps}, "
            f"beside its flow.keras and load it again; or {instead}."
        )
    return half


def examples_of(entry: Entry, model: Model) -> Fields:
    """Return a model's examples.

    Raises:
        Conflict: It has none.
    """
    if model.beside.examples is None:
        raise Conflict(
            f"{entry.name} must have examples for this, and has none. Put examples.safetensors, with a tensor latents "
            "[n, *latent_shape] and perhaps the inputs that they were made of, beside its flow.keras and load it again."
        )
    return model.beside.examples


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
