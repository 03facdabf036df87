"""Whether the process lives, and whether it can be asked."""

from fastapi import APIRouter, Request

from app.api.access import KEY
from app.api.dependencies import Services, ServicesDependency, services_of
from app.api.doors import doors_of
from app.api.openapi import problems
from app.errors import NotReady
from app.repository import LOADING_RETRY_S, Entry, Repository, State
from app.schemas import Status

router = APIRouter(tags=["health"])

MODELS = "/models"
NOT_READY, NOT_ALIVE = (
    "The server must be ready, and is not.",
    "The server must answer every request, and can not any more.",
)
WITHOUT_KEY = "Ask with an API key for the reason, or look into its log."


@router.head("/livez", include_in_schema=False)
@router.get("/livez", summary="Tell whether the process lives", responses=problems([503]))
async def livez(request: Request, services: ServicesDependency) -> Status:
    """An answer is the proof, unless a pass does not come back: that a restart alone mends, where no supervisor does."""
    if reason := hanging(services):
        raise NotReady(reason if may_be_told(request) else f"{NOT_ALIVE} {WITHOUT_KEY}", LOADING_RETRY_S)
    return Status(status="alive")


@router.head("/readyz", include_in_schema=False)
@router.get("/readyz", summary="Tell whether the models are ready", responses=problems([503]))
async def readyz(request: Request, services: ServicesDependency) -> Status:
    """All versions found must be READY, or with GYOZA_STRICT_READINESS=false at least one, in every worker.

    So it is not while the server drains, or while a pass does not come back.
    """
    if reason := why_not_ready(services):
        raise NotReady(reason if may_be_told(request) else f"{NOT_READY} {WITHOUT_KEY}", LOADING_RETRY_S)
    return Status(status="ready")


def may_be_told(request: Request) -> bool:
    """Whether whoever asks may read of models: where that needs a key, one has come."""
    is_open = not doors_of(services_of(request).settings).need_key(MODELS)
    return is_open or request.scope[KEY] is not None


def why_not_ready(services: Services) -> str | None:
    """Say why the server is not ready; None: it is."""
    if services.lifecycle.draining:
        return "The server is draining, since it was asked to end. Ask another one."
    if reason := hanging(services):
        return reason
    if not services.repository.is_ready(strict=services.settings.strict_readiness):
        return why_not(services.repository)
    if services.peers.waiting:
        return f"Every worker must be ready. {'; '.join(services.peers.waiting)}. Try again in a moment."
    return None


def hanging(services: Services) -> str | None:
    """Say which pass does not come back; None: all do."""
    fault = services.engine.fault
    return fault and f"Passes must come back. {fault}. Restart the server if this stays so."


def why_not(repository: Repository) -> str:
    """Name every version that is not READY, and say why."""
    if not repository.entries:
        return "There must be a model to be ready, and none was found. Put one into GYOZA_MODELS_DIR and restart."
    waiting = [entry for entry in repository.entries if entry.state is not State.READY]
    awaited = [entry for entry in waiting if entry.is_awaited] or waiting
    return (
        f"Every model must be READY. {'; '.join(map(told, awaited))}. Wait for those that are LOADING; mend or remove "
        "those that are UNAVAILABLE, and load them again or restart, or set GYOZA_STRICT_READINESS=false to be ready without them."
    )


def told(entry: Entry) -> str:
    """Tell one version's state and reason."""
    return f"{entry.name} version {entry.version} is {entry.state}" + (f" ({entry.reason})" if entry.reason else "")
