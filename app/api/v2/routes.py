"""The table of the protocol's endpoints but that for inference, which has a way of its own."""

from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

from fastapi import APIRouter

from app.api.paths import V2
from app.api.v2.metadata import model_config, model_metadata, model_ready
from app.api.v2.repository import index, load, unload
from app.api.v2.schemas import V2Error
from app.api.v2.server import model_names, server_live, server_metadata, server_ready
from app.api.v2.statistics import all_statistics, model_statistics

MODEL = ("/models/{model}", "/models/{model}/versions/{version}")
REPOSITORY = ("/repository", "/repository/{repository}")
ERROR: dict[int | str, dict[str, Any]] = {"default": {"model": V2Error, "description": "Any error."}}


class Row(NamedTuple):
    """One endpoint."""

    method: str
    prefixes: tuple[str, ...]
    """Below /v2."""
    path: str
    endpoint: Callable[..., Coroutine[Any, Any, Any]]
    summary: str


ROWS = (
    Row("GET", ("",), "", server_metadata, "Tell what server this is, in the Open Inference Protocol"),
    Row("GET", ("",), "/health/live", server_live, "Tell whether the process lives"),
    Row("GET", ("",), "/health/ready", server_ready, "Tell whether the models are ready"),
    Row("GET", ("",), "/models", model_names, "List the names of all models"),
    Row("GET", ("",), "/models/stats", all_statistics, "Tell what all models have done"),
    Row("GET", MODEL, "", model_metadata, "Show a model's tensors"),
    Row("GET", MODEL, "/ready", model_ready, "Tell whether a model is ready"),
    Row("GET", MODEL, "/config", model_config, "Show a model's configuration"),
    Row("GET", MODEL, "/stats", model_statistics, "Tell what a model has done"),
    Row("POST", REPOSITORY, "/index", index, "List every version of every model"),
    Row("POST", REPOSITORY, "/models/{model}/load", load, "Load a model"),
    Row("POST", REPOSITORY, "/models/{model}/unload", unload, "Unload a model"),
)


def v2_router() -> APIRouter:
    """Return the routes of the whole table; what can be got has its head, too."""
    router = APIRouter(tags=["v2"])
    for row in ROWS:
        for prefix in row.prefixes:
            path = V2 + prefix + row.path
            names = [part.strip("{}") for part in path.split("/") if part.startswith("{")]
            described = {"parameters": [parameter(name) for name in names]} if names else None
            router.add_api_route(
                path, row.endpoint, methods=[row.method], summary=row.summary, responses=ERROR, openapi_extra=described
            )
            if row.method == "GET":
                router.add_api_route(path, row.endpoint, methods=["HEAD"], include_in_schema=False)
    return router


def parameter(name: str) -> dict[str, Any]:
    """Describe a parameter of a path."""
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
