"""Which pages of other origins may call: none, unless the settings name them."""

from collections.abc import Sequence

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

METHODS = ("GET", "HEAD", "POST")
EXPOSED = ("Inference-Header-Content-Length", "Retry-After", "Server-Timing", "WWW-Authenticate", "X-Request-ID")
"""What a page may read of an answer's headers, beside those that it always may."""


def with_cors(app: ASGIApp, origins: Sequence[str]) -> ASGIApp:
    """Let the pages of some origins call an application, with any header; a browser's question before that needs no key."""
    if not origins:
        return app
    return CORSMiddleware(app, origins, allow_methods=METHODS, allow_headers=["*"], expose_headers=EXPOSED)
