"""The flow endpoints: one table of operations, mounted below each of three prefixes."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.api.answers import Answer
from app.api.bodies import JSON, codec_of
from app.api.call import Call, Fields, beside, decoder_of, examples_of, size_of
from app.api.compression import compressed
from app.api.dependencies import services_of
from app.api.disconnects import unless_disconnected
from app.api.draws import sample, traverse
from app.api.edits import edit
from app.api.exchange import exchange_of
from app.api.headers import best_media_type, headers_of
from app.api.operations import Operation, decode, encode, factors, invert, latents
from app.api.parsing import parsed
from app.api.receiving import received
from app.api.views import factors_list
from app.codecs import CODECS, Codec
from app.errors import FieldError, InvalidInput
from app.schemas import (
    Body,
    EditAnswer,
    EditRequest,
    EncodeAnswer,
    FactorsAnswer,
    InputsRequest,
    InvertAnswer,
    InvertRequest,
    LatentsAnswer,
    LatentsRequest,
    OutputsAnswer,
    SampleAnswer,
    SampleRequest,
    TraverseAnswer,
    TraverseRequest,
)
from app.tensors import Form
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
    codecs: Mapping[str, Codec] = field(default_factory=lambda: CODECS)
    """The media types that it takes and answers in."""


ONLY_JSON = MappingProxyType({JSON: CODECS[JSON]})
OPERATIONS = (
    FlowOperation("encode", encode, LatentsRequest, EncodeAnswer, "Map latents to codes"),
    FlowOperation("factors", factors, LatentsRequest, FactorsAnswer, "Map latents to their factors"),
    FlowOperation(
        "invert", invert, InvertRequest, InvertAnswer, "Map codes or factors to latents", ("check", "decode")
    ),
    FlowOperation("edit", edit, EditRequest, EditAnswer, "Edit factors of latents", ("decode",), ONLY_JSON),
    FlowOperation(
        "traverse",
        traverse,
        TraverseRequest,
        TraverseAnswer,
        "Walk from a latent along dimensions of its factors",
        ("decode",),
        ONLY_JSON,
    ),
    FlowOperation("sample", sample, SampleRequest, SampleAnswer, "Draw latents", ("decode",), ONLY_JSON),
    FlowOperation("latents", latents, InputsRequest, LatentsAnswer, "Map inputs to latents by the encoder"),
    FlowOperation("decode", decode, LatentsRequest, OutputsAnswer, "Map latents to outputs by the decoder"),
)


def flow_routes() -> list[Route]:
    """Return the routes of every operation below every prefix; plain ones, since they must be fast."""
    return [route for prefix in PREFIXES for route in routes_below(prefix)]


def routes_below(prefix: str) -> Iterator[Route]:
    """Yield the routes below one prefix."""
    yield Route(f"{prefix}/factors", get_factors, methods=["GET"])
    yield Route(f"{prefix}/examples", get_examples, methods=["GET"])
    for operation in OPERATIONS:
        yield Route(f"{prefix}/{operation.name}", partial(answer, operation), methods=["POST"], name=operation.name)


async def get_factors(request: Request) -> Response:
    """Describe the factor layout."""
    exchange_of(request.scope).route = "/factors"
    call = call_of(request, time.monotonic())
    content = factors_list(call.entry, call.layout).model_dump_json()
    return Response(content, media_type="application/json")


async def get_examples(request: Request) -> Answer:
    """Give the examples that ship with a model."""
    exchange_of(request.scope).route = "/examples"
    call = call_of(request, time.monotonic())
    fields = {**named(call), **examples_of(call.entry, call.model)}
    return await written(headers_of(request.scope), CODECS[JSON], CODECS, fields, Form.LISTS, call.timings)


async def answer(operation: FlowOperation, request: Request) -> Answer:
    """Answer one operation: body to arrays, arrays through the engine, arrays to body."""
    exchange_of(request.scope).route = f"/{operation.name}"
    settings = services_of(request).settings
    deadline = time.monotonic() + settings.request_timeout_s
    call = call_of(request, deadline, switches(request, operation.switches))
    headers = headers_of(request.scope)
    codec = codec_of(headers, operation.codecs)
    parse = partial(parsed, codec, operation.request, call.model.flow.dtype)
    body, form = await received(request, headers, deadline, parse, is_json=codec.media_type == JSON)
    fields = {**named(call), **await unless_disconnected(request, operation.run(call, body))}
    return await written(headers, codec, operation.codecs, fields, form, call.timings)


def named(call: Call) -> Fields:
    """Return the fields that every answer begins with."""
    return {"model": call.entry.name, "version": str(call.entry.version)}


def call_of(request: Request, deadline: float, given: Mapping[str, bool] | None = None) -> Call:
    """Find the version that a path means, and put together what an operation needs."""
    services, path, exchange = services_of(request), request.path_params, exchange_of(request.scope)
    entry, model = services.repository.ready(path.get("model"), path.get("version"))
    exchange.model, exchange.version = entry.name, str(entry.version)
    check, decode = (given.get("check", False), given.get("decode", False)) if given else (False, False)
    if decode:
        decoder_of(entry, model)
    settings = services.settings
    limits = settings.max_rows, settings.max_body_bytes, settings.max_json_bytes
    return Call(services.engine, entry, model, deadline, *limits, check, decode, exchange.timings)


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


async def written(  # noqa: PLR0913, PLR0917 - what an answer is made of
    headers: Mapping[str, str],
    own: Codec,
    codecs: Mapping[str, Codec],
    fields: Fields,
    form: Form,
    timings: Timings,
) -> Answer:
    """Write an answer in the media type and the coding that are asked for, a large one in a thread."""
    timings.encode_start = time.monotonic()
    codec = codecs[best_media_type(headers.get("accept", ""), codecs, own.media_type)]
    content, coding = await beside(size_of(fields), partial(codec.encode, fields, form)), None
    if codec.media_type == JSON:
        content, coding = await compressed(content, headers)
    timings.encode = time.monotonic() - timings.encode_start
    return Answer(content, codec.media_type, timings, coding)
