"""The inference endpoint in the OpenAPI document; FastAPI describes the other ones."""

import re
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from app.api.v2.infer import INFER, LENGTH, OCTETS
from app.api.v2.schemas import InferenceRequest, InferenceResponse, V2Error

INFER_REQUESTS: set[type[BaseModel]] = {InferenceRequest}
INFER_ANSWERS: set[type[BaseModel]] = {InferenceResponse, V2Error}
BYTES = {"schema": {"type": "string", "contentMediaType": OCTETS, "description": "JSON and the bytes of tensors."}}


def infer_paths() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every path of the endpoint with its method."""
    for path in INFER:
        names = re.findall(r"{(\w+)}", path)
        parameters = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]
        operation = {
            "tags": ["v2"],
            "summary": "Infer, in the Open Inference Protocol",
            "operationId": "_".join(["infer", *(f"by_{name}" for name in names)]),
            "parameters": [*parameters, length("How many bytes of the body are JSON; 0: a raw request.")],
            "requestBody": {"required": True, **content(InferenceRequest)},
            "responses": {
                "200": content(InferenceResponse),
                "default": {"description": V2Error.__doc__, "content": {"application/json": reference(V2Error)}},
            },
        }
        yield path, {"post": operation}


def length(description: str) -> dict[str, Any]:
    """Describe the header of the binary tensor extension."""
    schema = {"type": "integer", "minimum": 0}
    return {"name": LENGTH, "in": "header", "required": False, "schema": schema, "description": description}


def content(schema: type[BaseModel]) -> dict[str, Any]:
    """Describe a body, as JSON and with the bytes of tensors."""
    return {"description": schema.__doc__, "content": {"application/json": reference(schema), OCTETS: BYTES}}


def reference(schema: type[BaseModel]) -> dict[str, Any]:
    """Refer to a schema."""
    return {"schema": {"$ref": f"#/components/schemas/{schema.__name__}"}}
