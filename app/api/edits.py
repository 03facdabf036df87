"""Edits: what is done to the factors of codes, one edit after the other."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np

from app.api.call import Call, Fields, beside, checked_round_trip_error
from app.api.draws import drawn_seed, draws
from app.engine.batcher import too_late
from app.errors import FieldError, InvalidInput
from app.primitives import Primitive
from app.schemas import Blend, Draw, Edit, EditRequest
from app.tensors import Factor, check_results, check_shape
from gyoza.inference import CompiledFlow
from gyoza.inference.plan import Floats

Change: TypeAlias = Callable[[Floats, Floats], Floats]
"""A factor's values [n, size], and those of the donors' codes, to its new values [n, size] or [1, size]."""


@dataclass(frozen=True)
class Place:
    """Where an edit acts."""

    flow: CompiledFlow
    factor: Factor
    rows: int
    field: str
    """The path of the edit's operation in the request."""


@dataclass(frozen=True)
class Step:
    """An edit that is known to fit."""

    place: Place
    change: Change
    donors: Floats | None = None
    """[n, *latent_shape], whose codes the change needs."""
    seed: int | None = None
    """The seed that was drawn, where one was needed and none given."""


async def edit(call: Call, body: EditRequest) -> Fields:
    """Edit the factors of latents: encode them, and all donors with them; edit the codes; invert; and encode again."""
    latents = body.latents
    steps = planned(call, latents, body.edits)
    codes, before, donated = await encoded(call, latents, steps)
    await beside(codes.nbytes * len(steps), partial(apply, steps, codes, donated, call.deadline))
    edited = await call.inverted(codes, "edits")
    again, _, after = await call.run(Primitive.ENCODE, edited)
    check_results("edits", after.dtype, after)
    error = await beside(codes.nbytes, partial(checked_round_trip_error, "edits", again, codes))
    seeds = {str(index): step.seed for index, step in enumerate(steps) if step.seed is not None}
    return {
        "latents": edited,
        "codes": codes,
        "log_likelihood": {"before": before, "after": after},
        "round_trip_error": error,
        **({"seeds": seeds} if seeds else {}),
        **await call.outputs(edited, "edits"),
    }


def planned(call: Call, latents: Floats, edits: Sequence[Edit]) -> list[Step]:
    """Check all of a request before anything is computed.

    Raises:
        GyozaError: What is wrong with it.
    """
    flow, layout = call.model.flow, call.layout
    check_shape(latents, flow.latent_shape, "latents")
    call.check_outputs(len(latents))
    steps = []
    for index, item in enumerate(edits):
        factor = layout.find(item.factor, f"edits.{index}.factor")
        place = Place(flow, factor, len(latents), f"edits.{index}.{item.kind}")
        steps.append(MAKERS[item.kind](place, getattr(item, item.kind)))
    call.check_rows(len(latents) + sum(len(step.donors) for step in steps if step.donors is not None))
    return steps


async def encoded(call: Call, latents: Floats, steps: Sequence[Step]) -> tuple[Floats, Floats, list[Floats | None]]:
    """Encode latents, and the donors of all steps with them.

    Returns:
        The codes, which nobody else has; their log likelihoods; and each step's donors' codes.

    Raises:
        InvalidInput: One is not finite.
    """
    given = [("latents", latents), *((step.place.field, step.donors) for step in steps if step.donors is not None)]
    size = sum(array.nbytes for _, array in given)
    rows = latents if len(given) == 1 else await beside(size, lambda: np.concatenate([array for _, array in given]))
    codes, _, likelihood = await call.run(Primitive.ENCODE, rows)
    count = len(latents)
    for number, (field, _) in enumerate(given):
        check_results(field, codes.dtype, likelihood[number * count : (number + 1) * count])
    donated = iter(codes[count:].reshape(-1, count, *codes.shape[1:]))
    return codes[:count].copy(), likelihood[:count], [None if step.donors is None else next(donated) for step in steps]


def apply(steps: Sequence[Step], codes: Floats, donated: Sequence[Floats | None], deadline: float) -> None:
    """Write over codes [n, D] what the steps make of them.

    Raises:
        InvalidInput: The results are not finite.
        DeadlineExceeded: Nobody waits for the rest any more.
    """
    for step, donors in zip(steps, donated, strict=True):
        if time.monotonic() >= deadline:
            raise too_late()
        columns = step.place.factor.columns
        own = codes[:, columns]
        with np.errstate(all="ignore"):
            own[...] = step.change(own, own if donors is None else donors[:, columns])
        check_results(step.place.field, codes.dtype, own)


def setting(place: Place, value: Floats) -> Step:
    """Give a factor these values."""
    check_values(place, value)
    return Step(place, lambda own, _: value)


def shifting(place: Place, value: Floats) -> Step:
    """Add these values to a factor."""
    check_values(place, value)
    return Step(place, lambda own, _: own + value)


def scaling(place: Place, value: float) -> Step:
    """Multiply a factor about 0."""
    check_number(place.flow, value, place.field)
    return Step(place, lambda own, _: own * value)


def swapping(place: Place, value: Floats) -> Step:
    """Give a factor the values that it has in the donors' codes."""
    check_shape(value, place.flow.latent_shape, place.field, place.rows)
    return Step(place, lambda _, donors: donors, value)


def blending(place: Place, value: Blend) -> Step:
    """Mix a factor with what it is in the donors' codes."""
    weight = value.weight
    check_number(place.flow, weight, f"{place.field}.weight")
    check_shape(value.latents, place.flow.latent_shape, f"{place.field}.latents", place.rows)
    return Step(place, lambda own, donors: (1 - weight) * own + weight * donors, value.latents)


def sampling(place: Place, value: Draw) -> Step:
    """Draw a factor from N(0, I)."""
    seed = drawn_seed() if value.seed is None else value.seed
    return Step(place, lambda own, _: draws(seed, own.shape, own.dtype), seed=seed if value.seed is None else None)


MAKERS: Mapping[str, Callable[[Place, Any], Step]] = MappingProxyType(
    {
        "set": setting,
        "shift": shifting,
        "scale": scaling,
        "swap": swapping,
        "blend": blending,
        "sample": sampling,
    }
)
"""What an edit may do, by its name."""


def check_values(place: Place, values: Floats) -> None:
    """Refuse values that are neither one row of the factor nor as many as there are latents."""
    check_shape(values, (place.factor.size,), place.field, None if len(values) == 1 else place.rows)


def check_number(flow: CompiledFlow, value: float, field: str) -> None:
    """Refuse a number that is not finite in the flow's dtype."""
    if abs(value) > float(np.finfo(flow.dtype).max):
        raise InvalidInput(FieldError(field, f"must be finite in {flow.dtype}. Received: {value}"))
