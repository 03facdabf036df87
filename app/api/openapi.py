"""The OpenAPI document: FastAPI's for the plain endpoints, the operations' table for those of the flow."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, get_origin

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from app.api.error_handlers import KINDS, MEDIA_TYPE
from app.api.flows import OPERATIONS, PREFIXES, FlowOperation
from app.api.v2.openapi import INFER_ANSWERS, INFER_REQUESTS, infer_paths
from app.codecs import CODECS
from app.errors import Forbidden, Unauthorized
from app.schemas import Body, ExamplesAnswer, FactorsList, Problem

JSON, SAFETENSORS = CODECS
REFERENCE = "#/components/schemas/{model}"
READ_ERRORS = (404, 409, 503)
NEVER_OF_FLOWS = frozenset({Unauthorized, Forbidden})
"""The first is told of where there are keys, the second concerns what changes the service."""


def openapi_document(app: FastAPI, prefix: str) -> dict[str, Any]:
    """Put the document together, for an application behind a path prefix."""
    document = get_openapi(
        title=app.title, version=app.version, summary=app.summary, description=app.description, routes=app.routes
    )
    forget_validation(document)
    document["paths"] = {**dict(flow_paths()), **document["paths"], **dict(infer_paths())}
    document["components"]["schemas"] |= flow_schemas()
    if prefix:
        document["servers"] = [{"url": prefix}]
    return document


def forget_validation(document: dict[str, Any]) -> None:
    """Take out the 422 that FastAPI gives every path with parameters: here they are names, and an unknown one is 404."""
    for methods in document["paths"].values():
        for operation in methods.values():
            operation["responses"].pop("422", None)
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)


def flow_paths() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every path of the flow endpoints with its methods."""
    for prefix in PREFIXES:
        for operation in OPERATIONS:
            methods = {"post": described(operation, prefix)}
            if operation.name == "factors":
                content = {"description": "The layout", "content": in_json(FactorsList)}
                methods["get"] = read(prefix, "factors", "Show the factor layout", content)
            yield f"{prefix}/{operation.name}", methods
        examples = in_codecs("The examples", ExamplesAnswer, CODECS)
        yield f"{prefix}/examples", {"get": read(prefix, "examples", "Show latents to try the model with", examples)}


def read(prefix: str, name: str, summary: str, answer: Mapping[str, Any]) -> dict[str, Any]:
    """Describe what is read below one prefix."""
    return {
        "tags": ["flows"],
        "summary": summary,
        "operationId": operation_id("get", prefix, name),
        "parameters": path_parameters(prefix),
        "responses": {"200": answer, **problems(READ_ERRORS)},
    }


def described(operation: FlowOperation, prefix: str) -> dict[str, Any]:
    """Describe one operation below one prefix."""
    switches = [
        {"name": name, "in": "query", "required": False, "schema": {"type": "boolean", "default": False}}
        for name in operation.switches
    ]
    return {
        "tags": ["flows"],
        "summary": operation.summary,
        "operationId": operation_id("post", prefix, operation.name),
        "parameters": [*path_parameters(prefix), *switches],
        "requestBody": {
            "required": True,
            **in_codecs(operation.request.__doc__ or "", operation.request, operation.codecs),
        },
        "responses": {
            "200": in_codecs(operation.answer.__doc__ or "", operation.answer, operation.codecs),
            **problems(kind.status for error, kind in KINDS.items() if error not in NEVER_OF_FLOWS),
        },
    }


def operation_id(method: str, prefix: str, name: str) -> str:
    """Name one operation below one prefix uniquely."""
    return "_".join([method, name, *(f"by_{parameter}" for parameter in re.findall(r"{(\w+)}", prefix))])


def path_parameters(prefix: str) -> list[dict[str, Any]]:
    """Describe the parameters in a prefix."""
    names = re.findall(r"{(\w+)}", prefix)
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]


def in_codecs(description: str, schema: type[Body], codecs: Iterable[str]) -> dict[str, Any]:
    """Describe a body in every media type that these codecs write."""
    shown = {**in_json(schema), **in_safetensors(schema)}
    return {"description": description, "content": {media_type: shown[media_type] for media_type in codecs}}


def in_json(schema: type[Body]) -> dict[str, Any]:
    """Describe a body as JSON."""
    return {JSON: {"schema": {"$ref": REFERENCE.format(model=schema.__name__)}}}


def in_safetensors(schema: type[Body]) -> dict[str, Any]:
    """Describe a body as a safetensors file."""
    fields = schema.model_fields.items()
    metadata = [name for name, field in fields if field.annotation is str]
    tensors = [
        f"{name}.<name>" if get_origin(field.annotation) is dict else name
        for name, field in fields
        if name not in metadata
    ]
    described = f"safetensors: {', '.join(tensors)}, each F16, F32 or F64"
    described += f"; {' and '.join(metadata)} as metadata" if metadata else ""
    return {SAFETENSORS: {"schema": {"type": "string", "contentMediaType": SAFETENSORS, "description": described}}}


def problems(statuses: Iterable[int]) -> dict[int | str, dict[str, Any]]:
    """Describe answers that are problems."""
    schema = {"$ref": REFERENCE.format(model=Problem.__name__)}
    titles = {kind.status: kind.title for kind in KINDS.values()}
    return {
        str(status): {"description": titles[status], "content": {MEDIA_TYPE: {"schema": schema}}} for status in statuses
    }


def flow_schemas() -> dict[str, Any]:
    """Return the schemas that the flow endpoints refer to, by name."""
    requests = {operation.request for operation in OPERATIONS} | INFER_REQUESTS
    answers = {operation.answer for operation in OPERATIONS} | {ExamplesAnswer, FactorsList, Problem} | INFER_ANSWERS
    inputs = sorted(((model, "validation") for model in requests), key=lambda pair: pair[0].__name__)
    outputs = sorted(((model, "serialization") for model in answers), key=lambda pair: pair[0].__name__)
    _, definitions = models_json_schema([*inputs, *outputs], ref_template=REFERENCE)  # type: ignore[list-item]
    return dict(definitions["$defs"])
