"""The explorer: the page at ``/`` and the files that it is made of, read once and served as they are."""

import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from app.api.doors import EXPLORER
from app.api.headers import accepts
from app.api.pages import SAFETY
from app.settings import Settings

FOLDER = Path(__file__).parents[1] / "explorer"
PAGE = "index.html"
MEDIA_TYPES = {".css": "text/css", ".html": "text/html", ".js": "text/javascript", ".svg": "image/svg+xml"}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Scripts and styles come as files of their own, from where the page came from; none stands in it."""


@dataclass(frozen=True)
class File:
    """One file of the page."""

    content: bytes
    media_type: str

    @cached_property
    def tag(self) -> str:
        """What tells this content from that of other releases; a weak one, since it may come compressed."""
        return f'W/"{sha256(self.content).hexdigest()[:32]}"'

    @cached_property
    def gzipped(self) -> bytes:
        """The content, compressed."""
        return gzip.compress(self.content, mtime=0)

    def answer(self, headers: Mapping[str, str]) -> Response:
        """Answer a request: browsers keep the file, and ask each time whether it is still the same one."""
        own = {
            "Cache-Control": "no-cache",
            "Content-Security-Policy": POLICY,
            "ETag": self.tag,
            "Vary": "Accept-Encoding",
            **SAFETY,
        }
        if self.tag in headers.get("if-none-match", ""):
            return Response(status_code=304, headers=own)
        if accepts(headers.get("accept-encoding", ""), "gzip"):
            return Response(self.gzipped, headers={**own, "Content-Encoding": "gzip"}, media_type=self.media_type)
        return Response(self.content, headers=own, media_type=self.media_type)


FILES = {
    path.name: File(path.read_bytes(), MEDIA_TYPES[path.suffix])
    for path in sorted(FOLDER.iterdir())
    if path.suffix in MEDIA_TYPES
}


def explorer_routes(settings: Settings) -> list[Route]:
    """Return the routes of the page, or the way to what else there is where it is switched off."""
    if not settings.explorer:
        return [Route("/", elsewhere)]
    return [Route("/", page), Route(f"{EXPLORER}{{name}}", file)]


async def page(request: Request) -> Response:
    """Show the page."""
    return FILES[PAGE].answer(request.headers)


async def file(request: Request) -> Response:
    """Send a file of the page."""
    name = request.path_params["name"]
    if name == PAGE or name not in FILES:
        raise HTTPException(404)
    return FILES[name].answer(request.headers)


async def elsewhere(_: Request) -> Response:
    """Lead to the documentation."""
    return RedirectResponse("docs")
