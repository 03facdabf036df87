"""The path prefix of a proxy: whether or not the proxy strips it, the same endpoints are reached."""

from starlette.types import ASGIApp, Receive, Scope, Send


class Prefix:
    """Gives requests the prefix that a proxy serves them under, as ASGI wants it: in the path too.

    Args:
        app: What answers requests.
        prefix: Such as ``/gyoza``.
    """

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        """Stand in front of an application."""
        self._app = app
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] == "http":
            scope["root_path"] = self._prefix
            if not scope["path"].startswith(f"{self._prefix}/"):
                scope["path"] = self._prefix + scope["path"]
        await self._app(scope, receive, send)


def with_prefix(app: ASGIApp, prefix: str) -> ASGIApp:
    """Serve an application under a prefix, where there is one."""
    return Prefix(app, prefix) if prefix else app
