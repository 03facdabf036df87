"""The server as a whole: what it is, and whether it can be asked."""

from starlette.requests import Request

import gyoza
from app.api.dependencies import services_of
from app.api.health import livez, readyz
from app.api.v2.models import names_of
from app.api.v2.schemas import ModelNames, ServerLive, ServerMetadata, ServerReady

EXTENSIONS = (
    "binary_tensor_data",
    "model_configuration",
    "model_repository",
    "parameters",
    "schedule_policy",
    "statistics",
)


async def server_metadata() -> ServerMetadata:
    """Tell name, version, and the extensions of the protocol that are spoken."""
    return ServerMetadata(name="gyoza", version=gyoza.__version__, extensions=[*EXTENSIONS])


async def server_live(request: Request) -> ServerLive:
    """As /livez."""
    await livez(request, services_of(request))
    return ServerLive(live=True)


async def server_ready(request: Request) -> ServerReady:
    """As /readyz."""
    await readyz(request, services_of(request))
    return ServerReady(live=True, ready=True)


async def model_names(request: Request) -> ModelNames:
    """Three of each flow, whatever its state."""
    return ModelNames(models=names_of(services_of(request).repository))
