"""The page for Prometheus."""

import asyncio

from fastapi import APIRouter, Request
from starlette.responses import PlainTextResponse, Response

from app.api.dependencies import ServicesDependency
from app.metrics import gauges_of
from app.metrics.exposition import CONTENT_TYPE

router = APIRouter(tags=["health"])


@router.head("/metrics", include_in_schema=False)
@router.get("/metrics", summary="Show what is measured, for Prometheus", response_class=PlainTextResponse)
async def show_metrics(request: Request, services: ServicesDependency) -> Response:
    """In the text format of Prometheus, of all workers together."""
    request.app.access.flush()
    services.metrics.show(gauges_of(services.engine, services.repository))
    content = await asyncio.to_thread(services.metrics.text)
    return Response(content, headers={"Content-Type": CONTENT_TYPE})
