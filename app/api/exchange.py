"""Where a request keeps what is learnt of it, and what its scope tells beside that."""

from collections.abc import Mapping
from typing import Any

from starlette.routing import Match

from app.exchange import UNKNOWN, Exchange

EXCHANGE = "exchange"
"""Where it is in the state of a request."""


def exchange_of(scope: Mapping[str, Any]) -> Exchange:
    """Return what is known of a request."""
    exchange: Exchange = scope["state"][EXCHANGE]
    return exchange


def route_of(scope: Mapping[str, Any], exchange: Exchange) -> str:
    """Return the path of the endpoint that a request went to, with names for what differs between requests."""
    if exchange.route is not None:
        return exchange.route
    route = scope.get("route")
    if route is None and "endpoint" in scope:  # A plain route, which is told by its function alone.
        routes = scope["app"].router.routes
        route = next((each for each in routes if each.matches(scope)[0] is not Match.NONE), None)
    path: str = getattr(route, "path", UNKNOWN)
    return path


def model_of(scope: Mapping[str, Any], exchange: Exchange) -> str:
    """Return the model that a request was about, empty if it named none."""
    if exchange.model is not None:
        return exchange.model
    named: str | None = scope.get("path_params", {}).get("model")
    if not named:
        return ""
    names, flow = scope["state"]["services"].repository.names, named.rpartition(".")[0]
    return next((name for name in (named, flow) if name in names), UNKNOWN)
