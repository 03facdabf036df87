"""The page for Prometheus."""

import asyncio

from fastapi import APIRouter, Request
from starlette.responses import PlainTextResponse, Response

from app.api.dependencies import Services, ServicesDependency
from app.api.health import why_not_ready
from app.metrics import gauges_of
from app.metrics.exposition import CONTENT_TYPE
from app.metrics.families import READY
from app.metrics.sheet import Key

router = APIRouter(tags=["health"])


@router.head("/metrics", include_in_schema=False)
@router.get("/metrics", summary="Show what is measured, for Prometheus", response_class=PlainTextResponse)
async def show_metrics(request: Request, services: ServicesDependency) -> Response:
    """In the text format of Prometheus, of all workers together."""
    request.app.access.flush()
    services.metrics.show(gauges(services))
    content = await asyncio.to_thread(services.metrics.text)
    return Response(content, headers={"Content-Type": CONTENT_TYPE})


def gauges(services: Services) -> dict[Key, float]:
    """Return what is as it is now."""
    return {(READY.name,): float(why_not_ready(services) is None)} | gauges_of(services.engine, services.repository)
