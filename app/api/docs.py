"""The documentation pages, served from here alone: no outside host takes part."""

from pathlib import Path

import orjson
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from app.api.openapi import openapi_document

PAGE = (Path(__file__).parent / "docs.html").read_text(encoding="utf-8")
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:"


def docs_routes(app: FastAPI, prefix: str) -> list[Route]:
    """Return the routes of the pages about an application whose other routes are all there, behind a path prefix."""
    document = orjson.dumps(openapi_document(app, prefix))

    async def openapi(_: Request) -> Response:
        return Response(document, media_type="application/json")

    return [Route("/openapi.json", openapi), Route("/docs", docs), Route("/", home)]


async def docs(_: Request) -> Response:
    """Show the page that renders ``/openapi.json``."""
    return HTMLResponse(PAGE, headers={"Content-Security-Policy": POLICY})


async def home(_: Request) -> Response:
    """Lead to the page."""
    return RedirectResponse("docs")
