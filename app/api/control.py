"""Loading and unloading models while the service runs: for admins, where that is switched on."""

from typing import Any

from fastapi import APIRouter, Request

from app.api.access import KEY
from app.api.dependencies import ServicesDependency, services_of
from app.api.openapi import problems
from app.api.views import model_item
from app.errors import Forbidden, Unauthorized
from app.keys import Key
from app.repository import Control
from app.schemas import ModelItem

router = APIRouter(tags=["models"])

REFUSALS: dict[int | str, dict[str, Any]] = problems([401, 403, 404, 409, 503])


@router.post("/models/{model}/load", summary="Load a model anew", responses=REFUSALS)
async def load_model(model: str, request: Request, services: ServicesDependency) -> ModelItem:
    """Versions that are new or changed are loaded, proven and warmed up, then take over; until then the former serve."""
    await require_control(request).load(model)
    return model_item(services.repository.versions(model))


@router.post("/models/{model}/unload", summary="Unload a model", responses=REFUSALS)
async def unload_model(model: str, request: Request, services: ServicesDependency) -> ModelItem:
    """Requests that have begun are answered; the answer comes when they are, and the memory is free."""
    await require_control(request).unload(model)
    return model_item(services.repository.versions(model))


def require_control(request: Request) -> Control:
    """Return what loads and unloads, if whoever asks may do that.

    Raises:
        Forbidden: It is switched off, or the key that came is no admin's.
        Unauthorized: No key came that is known.
    """
    control = services_of(request).control
    if control is None:
        raise Forbidden(
            "Loading and unloading must be switched on, and is not. Whoever runs the server may set "
            "GYOZA_REPOSITORY_CONTROL=true, and GYOZA_ADMIN_KEYS_FILE."
        )
    key: Key | None = request.scope.get(KEY)
    if key is None:
        raise Unauthorized(
            "Loading and unloading needs an admin key, as Authorization: Bearer KEY or as X-API-Key: KEY. Received: none "
            "that is known here. Ask whoever runs this service for one."
        )
    if not key.admin:
        raise Forbidden(
            f"Loading and unloading needs an admin key. Received: that of {key.name}, which stands in "
            "GYOZA_API_KEYS_FILE and not in GYOZA_ADMIN_KEYS_FILE. Send another one."
        )
    return control
