"""The JSON bodies as the OpenAPI page shows them. pydantic checks the envelope; a codec's reader makes the numbers."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler, model_validator
from pydantic_core import core_schema

from gyoza.inference.plan import Floats

NotRecorded = Literal["not recorded"]
NOT_RECORDED: NotRecorded = "not recorded"
TENSOR_SCHEMA = {
    "title": "Tensor",
    "oneOf": [
        {
            "type": "array",
            "description": "Nested lists of numbers, row-major; the first axis is the batch, [[…]] for one row.",
            "items": {},
            "minItems": 1,
        },
        {
            "type": "object",
            "description": "Little-endian bytes in C order.",
            "properties": {
                "dtype": {"enum": ["float16", "float32", "float64"]},
                "shape": {"type": "array", "items": {"type": "integer", "minimum": 1}, "minItems": 1},
                "base64": {"type": "string", "contentEncoding": "base64", "pattern": "^[A-Za-z0-9+/]*={0,2}$"},
            },
            "required": ["dtype", "shape", "base64"],
            "additionalProperties": False,
        },
    ],
}


class TensorType:
    """How pydantic sees a tensor: one value, which the reader in the validation context makes an array of."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """Validate by the reader."""
        return core_schema.with_info_plain_validator_function(
            lambda value, info: info.context(value),
            serialization=core_schema.plain_serializer_function_ser_schema(lambda array: array),
        )

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Show both forms."""
        return TENSOR_SCHEMA


Tensor = Annotated[Floats, TensorType()]
OptionalTensor = Annotated[Floats | None, TensorType()]
"""A tensor that may be left out; a null is not that, and is refused like any other value that is no tensor."""
Rows = Annotated[list[float], Field(description="One number per row.")]


class Body(BaseModel):
    """Base of all bodies: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)


class LatentsRequest(Body):
    """Latents to be mapped."""

    latents: Tensor = Field(description="[n, *latent_shape]")


class InvertRequest(Body):
    """Codes, or every factor by its name, once."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})

    # Factories, since the documentation would show a plain default as a value to send.
    codes: OptionalTensor = Field(default_factory=lambda: None, description="[n, *code_shape]")
    factors: dict[str, Tensor] = Field(default_factory=dict, description="Each [n, its size].")

    @model_validator(mode="after")
    def one_of_two(self) -> "InvertRequest":
        """Refuse both and neither."""
        if len(self.model_fields_set) != 1:
            raise ValueError("must hold either codes or factors, and not both")
        return self


class Answer(Body):
    """What every answer of a flow says."""

    model: str
    version: str


class EncodeAnswer(Answer):
    """Codes of the latents."""

    codes: Tensor
    logdet: Rows
    log_likelihood: Rows


class FactorsAnswer(Answer):
    """Factors of the latents."""

    factors: dict[str, Tensor]
    logdet: Rows
    log_likelihood: Rows


class InvertAnswer(Answer):
    """Latents of the codes."""

    latents: Tensor
    round_trip_error: Rows | None = Field(None, description="With ?check=true: max abs T(T⁻¹(c)) − c of each row.")


class FactorItem(Body):
    """One factor of a code."""

    name: str
    start: int = Field(description="Its first column in the code.")
    size: int
    description: str | None
    range: tuple[float, float] | None = Field(description="The values that make sense for it, from and to.")


class FactorsList(Answer):
    """The factor layout."""

    size: int = Field(description="Columns of a code.")
    factors: list[FactorItem]


class VersionItem(Body):
    """One version and its state."""

    version: str
    state: Literal["LOADING", "READY", "UNAVAILABLE"]
    reason: str | None


class ModelItem(Body):
    """One model; its state is its highest version's."""

    name: str
    state: Literal["LOADING", "READY", "UNAVAILABLE"]
    reason: str | None
    versions: list[VersionItem]


class ModelList(Body):
    """Every model found."""

    models: list[ModelItem]


class CheckItem(Body):
    """A load check and its figures, in units of 1 + max|row|."""

    name: str
    passed: bool | NotRecorded
    error: float | NotRecorded
    limit: float | NotRecorded


class ModelDetail(ModelItem):
    """One model, and what is known of one version of it: by default the highest READY one."""

    version: str
    description: str | None = None
    latent_shape: tuple[int, ...] | NotRecorded = Field(NOT_RECORDED, description="Without the batch axis.")
    code_shape: tuple[int, ...] | NotRecorded = Field(NOT_RECORDED, description="Without the batch axis.")
    code_size: int | NotRecorded = NOT_RECORDED
    dtype: str = NOT_RECORDED
    factors: list[FactorItem] | None = None
    layers: int | NotRecorded = NOT_RECORDED
    parameters: int | NotRecorded = NOT_RECORDED
    traces: int | NotRecorded = Field(
        NOT_RECORDED, description="How often a backend traced code that the plan calls; constant once it is warm."
    )
    files: dict[str, str] | NotRecorded = Field(NOT_RECORDED, description="File name to SHA-256.")
    libraries: dict[str, str] | NotRecorded = Field(NOT_RECORDED, description="Library to version.")
    checks: list[CheckItem] | NotRecorded = NOT_RECORDED


class Status(Body):
    """The answer of a health check that passes."""

    status: Literal["alive", "ready"]


class ProblemField(Body):
    """What is wrong with one field."""

    field: str
    message: str


class Problem(Body):
    """Any error, after RFC 9457."""

    type: str = Field(description="urn:gyoza:<kind>")
    title: str
    status: int
    detail: str = Field(description="What must hold, what was received, and what to do.")
    errors: list[ProblemField]
    request_id: str
