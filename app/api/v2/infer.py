"""The inference endpoint: body to rows, rows through the engine, results to a body."""

import time
from collections.abc import Iterator, Mapping
from functools import partial
from typing import NamedTuple

from starlette.requests import Request
from starlette.routing import Route

from app.api.answers import Answer
from app.api.bodies import JSON, LENGTH_DIGITS, too_large
from app.api.call import Call, beside, size_of
from app.api.compression import compressed
from app.api.dependencies import services_of
from app.api.disconnects import unless_disconnected
from app.api.exchange import exchange_of
from app.api.headers import headers_of
from app.api.paths import V2
from app.api.receiving import received
from app.api.v2.models import OPERATIONS, Found, ready
from app.codecs import oip
from app.errors import FieldError, InvalidInput, MalformedBody
from app.timings import Timings
from gyoza.inference.plan import Floats

OCTETS = "application/octet-stream"
LENGTH = "inference-header-content-length"
"""The header that tells how many bytes of a body are JSON, which the bytes of tensors follow."""
ROUTES = {name: f"{V2}/models/{{model}}.{name}/infer" for name in OPERATIONS}
"""What the metrics call the endpoint of each operation."""
INFER = (f"{V2}/models/{{model}}/infer", f"{V2}/models/{{model}}/versions/{{version}}/infer")


class Asked(NamedTuple):
    """What a request asks for."""

    request: oip.InferRequest
    wanted: Mapping[str, bool]
    """The outputs, and whether each as bytes."""
    rows: Floats
    """[n, …]"""


def infer_routes() -> Iterator[Route]:
    """Yield the routes of the endpoint; plain ones, since they must be fast."""
    for path in INFER:
        yield Route(path, infer, methods=["POST"])


async def infer(request: Request) -> Answer:
    """Answer a request for inference."""
    services, start = services_of(request), time.monotonic()
    settings = services.settings
    found, exchange = ready(services.repository, request.path_params), exchange_of(request.scope)
    exchange.route = ROUTES[found.operation.name]
    exchange.model, exchange.version = found.entry.name, str(found.entry.version)
    headers, timings = headers_of(request.scope), exchange.timings
    asked = await read(request, headers, found, start + settings.request_timeout_s)
    timeout_s = min(asked.request.timeout_s or settings.request_timeout_s, settings.request_timeout_s)
    limits = settings.max_rows, settings.max_body_bytes, settings.max_json_bytes
    call = Call(services.engine, found.entry, found.model, start + timeout_s, *limits, timings=timings)
    results = await unless_disconnected(request, found.operation.run(call, asked.rows))
    given, own = asked.request.id, request.state.request_id
    head = oip.Head(found.name, str(found.entry.version), own if given is None else given)
    timings.encode_start = time.monotonic()
    answer = await written(headers, head, results, asked.wanted, timings)
    timings.encode = time.monotonic() - timings.encode_start
    return answer


async def read(request: Request, headers: Mapping[str, str], found: Found, deadline: float) -> Asked:
    """Read a body. What its Content-Type says plays no role: clients of the protocol send any."""
    json_bytes, most = json_bytes_of(headers), services_of(request).settings.max_json_bytes
    if json_bytes is not None and json_bytes > most:
        raise too_large(most, "GYOZA_MAX_JSON_BYTES", f"{json_bytes} bytes of JSON")
    return await received(request, headers, deadline, partial(parsed, json_bytes, found), is_json=json_bytes is None)


def json_bytes_of(headers: Mapping[str, str]) -> int | None:
    """Return how many bytes of a body are JSON; None where all are.

    Raises:
        MalformedBody: The header that says so is no number of bytes.
    """
    text = headers.get(LENGTH)
    if text is None:
        return None
    if not text.isdecimal() or len(text) > LENGTH_DIGITS:
        raise MalformedBody(
            f"Inference-Header-Content-Length must be the bytes of JSON in the body. Received: {text}. Send an integer of "
            "0 or more."
        )
    return int(text)


def parsed(json_bytes: int | None, found: Found, body: bytes) -> Asked:
    """Decode a body, and make rows of it.

    Raises:
        MalformedBody: The bytes can't be decoded.
        InvalidInput: The values break a rule.
    """
    request = oip.read(body, json_bytes)
    return Asked(request, request.wanted(tuple(found.outputs)), rows_of(request, found))


def rows_of(request: oip.InferRequest, found: Found) -> Floats:
    """Make rows [n, …] of the one input."""
    name, dtype = found.operation.input, found.model.flow.dtype
    if request.raw is not None:
        return oip.array_of_raw(name, request.raw, found.row_shape, dtype)
    if len(request.inputs) != 1 or request.inputs[0].name != name:
        names = ", ".join(tensor.name for tensor in request.inputs[:10]) or "none"
        raise InvalidInput(FieldError("inputs", f"must be the one tensor {name} of {found.name}. Received: {names}"))
    return oip.array_of(request.inputs[0], dtype)


async def written(
    headers: Mapping[str, str],
    head: oip.Head,
    results: Mapping[str, Floats],
    wanted: Mapping[str, bool],
    timings: Timings,
) -> Answer:
    """Write an answer; JSON in the coding that is asked for, the bytes of floats, which hardly get shorter, in none."""
    content, json_bytes = await beside(size_of(results), partial(oip.written, head, results, wanted))
    if json_bytes is not None:
        return Answer(content, OCTETS, timings, extra=((LENGTH.encode("ascii"), b"%d" % json_bytes),))
    content, coding = await compressed(content, headers)
    return Answer(content, JSON, timings, coding)
