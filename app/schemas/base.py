"""What all bodies are made of: tensors, which pydantic sees as one value, and the base that refuses unknown fields."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import core_schema

from gyoza.inference.plan import Floats

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

DECODED = "With ?decode=true: [n, *output_shape of the decoder]."


class Body(BaseModel):
    """Base of all bodies: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)


class Answer(Body):
    """What every answer of a flow says."""

    model: str
    version: str
