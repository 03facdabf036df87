"""What models there are, and what is known of them."""

from itertools import groupby
from typing import Any

from fastapi import APIRouter

from app.api.dependencies import ServicesDependency
from app.api.openapi import problems
from app.api.views import model_detail, model_item
from app.schemas import ModelDetail, ModelList

router = APIRouter(tags=["models"])

NO_SUCH_MODEL: dict[int | str, dict[str, Any]] = problems([404])


@router.head("/models", include_in_schema=False)
@router.get("/models", summary="List every model found, with its versions and states")
async def list_models(services: ServicesDependency) -> ModelList:
    """Loading, ready and unavailable ones alike, the last with the reason."""
    groups = groupby(services.repository.entries, key=lambda entry: entry.name)
    return ModelList(models=[model_item(list(entries)) for _, entries in groups])


@router.head("/models/{model}", include_in_schema=False)
@router.get("/models/{model}", summary="Show one model", responses=NO_SUCH_MODEL)
async def show_model(model: str, services: ServicesDependency) -> ModelDetail:
    """Shapes, factors, digests, and the figures of its load checks; of its highest READY version."""
    return model_detail(services.repository.versions(model), services.repository.find(model))


@router.head("/models/{model}/versions/{version}", include_in_schema=False)
@router.get("/models/{model}/versions/{version}", summary="Show one version of a model", responses=NO_SUCH_MODEL)
async def show_version(model: str, version: str, services: ServicesDependency) -> ModelDetail:
    """As for the model, of the version that is named."""
    return model_detail(services.repository.versions(model), services.repository.find(model, version))
