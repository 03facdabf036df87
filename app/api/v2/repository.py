"""The repository extension: what models there are, loading and unloading them."""

import time
from collections.abc import Iterator, Mapping
from typing import Any

from starlette.requests import Request

from app.api.control import require_control
from app.api.dependencies import Services, services_of
from app.api.headers import headers_of
from app.api.receiving import received
from app.api.v2.models import lack_of, served, split
from app.api.v2.schemas import IndexItem, Loaded, Unloaded
from app.codecs.json import decode_surely
from app.codecs.oip.header import parameters_of
from app.errors import Conflict, FieldError, InvalidInput, NotFound
from app.repository import Control, State

FAILED = (Conflict, NotFound)


async def index(request: Request) -> list[IndexItem]:
    """List every version of every model; with {"ready": true} in the body those that can be asked."""
    services, body = services_of(request), await json_of(request)
    only_ready = body.get("ready", False)
    if not isinstance(only_ready, bool):
        raise InvalidInput(FieldError("ready", "must be true or false"))
    return [item for item in items(services) if item.state == State.READY or not only_ready]


async def load(request: Request) -> Loaded:
    """Load a flow anew, from the files that are there now; any of its three names means all of it."""
    control, name = await asked(request)
    try:
        await control.load(flow_of(name))
    except FAILED as error:
        raise type(error)(f"failed to load {name!r}: {error}") from error
    return Loaded(name=name, load=True)


async def unload(request: Request) -> Unloaded:
    """Serve a flow no more; any of its three names means all of it."""
    control, name = await asked(request)
    try:
        await control.unload(flow_of(name))
    except FAILED as error:
        raise type(error)(f"failed to unload {name!r}: {error}") from error
    return Unloaded(name=name, unload=True)


async def asked(request: Request) -> tuple[Control, str]:
    """Return what loads and unloads, and the name that a path means, once the body asks for nothing else.

    Raises:
        Forbidden: Nobody may, or not with this key.
        Unauthorized: No key came that is known.
        InvalidInput: The body brings a configuration or files of its own.
    """
    control = require_control(request)
    parameters = parameters_of(await json_of(request), "parameters")
    if "config" in parameters or any(name.startswith("file:") for name in parameters):
        raise InvalidInput(
            FieldError("parameters", "must bring no config and no files: models are loaded as they lie in their folder")
        )
    return control, request.path_params["model"]


def flow_of(name: str) -> str:
    """Return the flow that a name means: its own, or that of one of its three models."""
    flow, operation = split(name)
    return name if operation is None else flow


def items(services: Services) -> Iterator[IndexItem]:
    """Yield every version of every model; one that its flow lacks something for is UNAVAILABLE."""
    for name, operation, entry in served(services.repository):
        lack = lack_of(operation, entry)
        state = entry.state.value if lack is None else State.UNAVAILABLE.value
        yield IndexItem(name=name, version=str(entry.version), state=state, reason=lack or entry.reason or "")


async def json_of(request: Request) -> Mapping[str, Any]:
    """Read a body that is a JSON object, or empty."""
    deadline = time.monotonic() + services_of(request).settings.request_timeout_s
    return await received(request, headers_of(request.scope), deadline, object_of, is_json=True)


def object_of(body: bytes) -> Mapping[str, Any]:
    """Parse a body; an empty one is an empty object."""
    return decode_surely(body) if body.strip() else {}
