"""The documentation pages, served from here alone: no outside host takes part."""

import asyncio
from functools import cache
from pathlib import Path

import orjson
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.api.doors import doors_of
from app.api.openapi import openapi_document
from app.api.pages import Page
from app.api.schemes import tell_of_keys
from app.settings import Settings

PAGE = Page((Path(__file__).parent / "docs.html").read_text(encoding="utf-8"))


def docs_routes(app: FastAPI, settings: Settings) -> list[Route]:
    """Return the routes of the pages about an application whose other routes are all there."""

    @cache
    def document() -> bytes:
        described = openapi_document(app, settings.root_path)
        if settings.has_keys:
            tell_of_keys(described, doors_of(settings))
        return orjson.dumps(described)

    async def openapi(_: Request) -> Response:
        # Made when it is asked for first: that takes as long as all else that is made of an application.
        return Response(await asyncio.to_thread(document), media_type="application/json")

    return [Route("/openapi.json", openapi), Route("/docs", docs)]


async def docs(_: Request) -> Response:
    """Show the page that renders ``/openapi.json``."""
    return PAGE
