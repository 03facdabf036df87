"""The flow endpoints: one table of operations, mounted below each of three prefixes."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.api.answers import Answer
from app.api.bodies import JSON, codec_of
from app.api.compression import compressed
from app.api.dependencies import services_of
from app.api.disconnects import unless_disconnected
from app.api.exchange import exchange_of
from app.api.headers import best_media_type, headers_of
from app.api.operations import Call, Fields, Operation, beside, encode, factors, invert, size_of
from app.api.receiving import received
from app.api.views import factors_list
from app.codecs import CODECS, Codec
from app.codecs.nests import shown
from app.errors import Conflict, FieldError, InvalidInput
from app.schemas import Body, EncodeAnswer, FactorsAnswer, InvertAnswer, InvertRequest, LatentsRequest
from app.tensors import Form, TensorError
from app.timings import Timings

PREFIXES = ("", "/models/{model}", "/models/{model}/versions/{version}")
SWITCH = {"true": True, "1": True, "false": False, "0": False}


@dataclass(frozen=True)
class FlowOperation:
    """One row of the table."""

    name: str
    run: Operation
    request: type[Body]
    answer: type[Body]
    summary: str
    switches: tuple[str, ...] = ()
    """Query parameters that are true or false."""


OPERATIONS = (
    FlowOperation("encode", encode, LatentsRequest, EncodeAnswer, "Map latents to codes"),
    FlowOperation("factors", factors, LatentsRequest, FactorsAnswer, "Map latents to their factors"),
    FlowOperation(
        "invert", invert, InvertRequest, InvertAnswer, "Map codes or factors to latents", ("check", "decode")
    ),
)


def flow_routes() -> list[Route]:
    """Return the routes of every operation below every prefix; plain ones, since they must be fast."""
    return [route for prefix in PREFIXES for route in routes_below(prefix)]


def routes_below(prefix: str) -> Iterator[Route]:
    """Yield the routes below one prefix."""
    yield Route(f"{prefix}/factors", get_factors, methods=["GET"])
    for operation in OPERATIONS:
        yield Route(f"{prefix}/{operation.name}", partial(answer, operation), methods=["POST"], name=operation.name)


async def get_factors(request: Request) -> Response:
    """Describe the factor layout."""
    exchange_of(request.scope).route = "/factors"
    call = call_of(request, time.monotonic())
    content = factors_list(call.entry, call.layout).model_dump_json()
    return Response(content, media_type="application/json")


async def answer(operation: FlowOperation, request: Request) -> Answer:
    """Answer one operation: body to arrays, arrays through the engine, arrays to body."""
    exchange_of(request.scope).route = f"/{operation.name}"
    settings = services_of(request).settings
    deadline = time.monotonic() + settings.request_timeout_s
    call = call_of(request, deadline, switches(request, operation.switches))
    headers = headers_of(request.scope)
    codec = codec_of(headers)
    parse = partial(parsed, codec, operation.request, call.model.flow.dtype)
    body, form = await received(request, headers, deadline, parse, is_json=codec.media_type == JSON)
    fields = {
        "model": call.entry.name,
        "version": str(call.entry.version),
        **await unless_disconnected(request, operation.run(call, body)),
    }
    return await written(headers, codec, fields, form, call.timings)


def call_of(request: Request, deadline: float, given: Mapping[str, bool] | None = None) -> Call:
    """Find the version that a path means, and put together what an operation needs."""
    services, path, exchange = services_of(request), request.path_params, exchange_of(request.scope)
    entry, model = services.repository.ready(path.get("model"), path.get("version"))
    exchange.model, exchange.version = entry.name, str(entry.version)
    given = given or {}
    if given.get("decode"):
        raise Conflict(f"{entry.name} must be served with a decoder for ?decode=true, and is not. Ask without it.")
    check, max_rows = given.get("check", False), services.settings.max_rows
    return Call(services.engine, entry, model, deadline, max_rows, check, exchange.timings)


def switches(request: Request, names: tuple[str, ...]) -> dict[str, bool]:
    """Read query parameters that are true or false."""
    if not names or not request.scope["query_string"]:
        return {}
    given = {name: request.query_params[name] for name in names if name in request.query_params}
    wrong = [
        FieldError(name, f"must be true or false. Received: {text}")
        for name, text in given.items()
        if text not in SWITCH
    ]
    if wrong:
        raise InvalidInput(*wrong)
    return {name: SWITCH[text] for name, text in given.items()}


def parsed(codec: Codec, schema: type[Body], dtype: np.dtype[np.floating[Any]], body: bytes) -> tuple[Body, Form]:
    """Decode a body and check it against its schema; also tell the form that its first tensor had.

    Raises:
        MalformedBody: The bytes can't be decoded.
        InvalidInput: The values break a rule.
    """
    reader = codec.reader(dtype)
    try:
        return schema.model_validate(codec.decode(body), context=reader), reader.form
    except ValidationError as error:
        known = ", ".join(schema.model_fields)
        raise InvalidInput(*(field_error(dict(item), known) for item in error.errors(include_url=False))) from error


def field_error(item: Mapping[str, Any], known: str) -> FieldError:
    """Translate one finding of pydantic."""
    field = ".".join(map(str, item["loc"])) or "body"
    cause = item.get("ctx", {}).get("error")
    if isinstance(cause, TensorError):
        return FieldError(field + "".join(f"[{position}]" for position in cause.index), str(cause))
    messages = {
        "extra_forbidden": f"no such field. Fields that exist: {known}",
        "missing": "missing; it must be given",
        "dict_type": f"must be an object of tensors by name. Received: {shown(item['input'])}",
    }
    return FieldError(field, messages.get(item["type"], str(cause or item["msg"])))


async def written(headers: Mapping[str, str], own: Codec, fields: Fields, form: Form, timings: Timings) -> Answer:
    """Write an answer in the media type and the coding that are asked for, a large one in a thread."""
    timings.encode_start = time.monotonic()
    codec = CODECS[best_media_type(headers.get("accept", ""), CODECS, own.media_type)]
    content, coding = await beside(size_of(fields), partial(codec.encode, fields, form)), None
    if codec.media_type == JSON:
        content, coding = await compressed(content, headers)
    timings.encode = time.monotonic() - timings.encode_start
    return Answer(content, codec.media_type, timings, coding)
