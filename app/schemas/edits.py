"""The bodies of what changes codes: edits of latents, traversals and samples."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.schemas.base import DECODED, Answer, Body, OptionalTensor, Rows, Tensor

MOST_EDITS = 64
LARGEST_SEED = 2**32 - 1
LARGEST_COUNT = 2**63 - 1
"""Settings bound the rows; this bounds the digits of what is told of them."""
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Integer = Annotated[int, Field(strict=True)]
Seed = Annotated[int, Field(strict=True, ge=0, le=LARGEST_SEED)]
OptionalSeed = Annotated[
    Seed | None, Field(description="Of numpy.random.RandomState; one is drawn where none is given.")
]
KINDS = ("set", "shift", "scale", "swap", "blend", "sample")
"""What an edit may do."""


def absent() -> Any:
    """Return what stands for a field that was not given; a factory, since documentation would show a default."""
    return None


def never_null(schema: dict[str, Any]) -> None:
    """Show no field of a request as one that may be null, since a null is refused."""
    for field in schema["properties"].values():
        if "anyOf" in field:
            (shown,) = (option for option in field.pop("anyOf") if option != {"type": "null"})
            field.update(shown)


class Part(Body):
    """Base of what stands in requests: fields that are left out are fine, nulls are not."""

    model_config = ConfigDict(json_schema_extra=never_null)

    @model_validator(mode="before")
    @classmethod
    def without_nulls(cls, values: Any) -> Any:
        """Refuse nulls."""
        nulls = [name for name, value in values.items() if value is None] if isinstance(values, dict) else []
        if nulls:
            raise ValueError(f"{nulls[0]} must not be null; give it a value or leave it out")
        return values


class Blend(Body):
    """A mixture with the codes of donors."""

    latents: Tensor = Field(description="[n, *latent_shape], the donors.")
    weight: Number = Field(description="w of (1 − w) · own + w · donor's.")


class Draw(Part):
    """A draw from N(0, I)."""

    seed: OptionalSeed = Field(default_factory=absent)


class Edit(Part):
    """A factor, and exactly one of what may be done to it."""

    factor: str
    set: OptionalTensor = Field(default_factory=absent, description="[n, size] or [1, size]: the factor's new values.")
    shift: OptionalTensor = Field(default_factory=absent, description="[n, size] or [1, size], to be added.")
    scale: Number | None = Field(default_factory=absent, description="To multiply by, about 0.")
    swap: OptionalTensor = Field(
        default_factory=absent, description="[n, *latent_shape], latents of the donors whose values the factor takes."
    )
    blend: Blend | None = Field(default_factory=absent)
    sample: Draw | None = Field(
        default_factory=absent,
        description="The factor is drawn from N(0, I): RandomState(seed).standard_normal([n, size]).",
    )

    @model_validator(mode="after")
    def one_of_all(self) -> "Edit":
        """Refuse none and several."""
        given = [kind for kind in KINDS if kind in self.model_fields_set]
        if len(given) != 1:
            raise ValueError(f"must hold exactly one of {', '.join(KINDS)}. Received: {', '.join(given) or 'none'}")
        return self

    @property
    def kind(self) -> str:
        """What is to be done, one of ``KINDS``."""
        return next(kind for kind in KINDS if kind in self.model_fields_set)


class EditRequest(Body):
    """Latents, and what is to be done to the factors of their codes, in order."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "latents": [[0.5, -1.0, 2.0, 0.25]],
                    "edits": [{"factor": "color", "set": [[1.5]]}, {"factor": "residual", "scale": 0.5}],
                }
            ]
        }
    )

    latents: Tensor = Field(description="[n, *latent_shape]")
    edits: list[Edit] = Field(max_length=MOST_EDITS)


class Likelihoods(BaseModel):
    """Log likelihoods of the latents as they came and of the edited ones."""

    before: Rows
    after: Rows


class EditAnswer(Answer):
    """The edited latents and their codes."""

    latents: Tensor
    codes: Tensor = Field(description="[n, *code_shape], as they were edited.")
    log_likelihood: Likelihoods
    round_trip_error: Rows = Field(description="max abs T(T⁻¹(c)) − c of each row.")
    seeds: dict[str, int] = Field(
        default_factory=dict, description="The seeds that were drawn, by the index of the edit that came without one."
    )
    outputs: OptionalTensor = Field(default_factory=absent, description=DECODED)


class Axis(Body):
    """One dimension of a factor, and the values that it takes."""

    factor: str
    dimension: Integer = Field(ge=0, description="Counted from 0 within the factor.")
    start: Number = Field(alias="from", description="The first value.")
    end: Number = Field(alias="to", description="The last value.")
    steps: Integer = Field(ge=2, le=LARGEST_COUNT, description="So many values, evenly spaced.")


class TraverseRequest(Body):
    """One latent, and one or two axes to walk along."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "latents": [[0.5, -1.0, 2.0, 0.25]],
                    "axes": [{"factor": "color", "dimension": 0, "from": -2, "to": 2, "steps": 9}],
                }
            ]
        }
    )

    latents: Tensor = Field(description="[1, *latent_shape]")
    axes: list[Axis] = Field(min_length=1, max_length=2)


class TraverseAnswer(Answer):
    """The latents along the axes, in C order."""

    positions: list[list[float]] = Field(description="[rows, axes]: the value of each row on each axis.")
    latents: Tensor = Field(description="[rows, *latent_shape]")
    outputs: OptionalTensor = Field(default_factory=absent, description=DECODED)


class SampleRequest(Part):
    """How many latents to draw."""

    count: Integer = Field(ge=1, le=LARGEST_COUNT)
    seed: OptionalSeed = Field(default_factory=absent)
    factors: dict[str, Tensor] = Field(
        default_factory=dict, description="Factors that are held instead of drawn, each [count, size] or [1, size]."
    )


class SampleAnswer(Answer):
    """Latents that were drawn from the flow."""

    seed: int
    latents: Tensor
    codes: Tensor
    log_likelihood: Rows
    outputs: OptionalTensor = Field(default_factory=absent, description=DECODED)
