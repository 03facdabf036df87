"""What requests borrow from the lifespan."""

from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends
from starlette.requests import Request

from app.api.intake import Intake
from app.engine import Engine
from app.lifecycle import Lifecycle
from app.metrics import Metrics
from app.peers import Peers
from app.repository import Control, Repository
from app.settings import Settings


@dataclass(frozen=True)
class Services:
    """All that lives as long as the application."""

    settings: Settings
    repository: Repository
    engine: Engine
    peers: Peers
    metrics: Metrics
    lifecycle: Lifecycle
    control: Control | None = None
    """What loads and unloads models; None: nobody may."""
    intake: Intake = field(kw_only=True)


def services_of(request: Request) -> Services:
    """Return the services of the application that got a request."""
    services: Services = request.scope["state"]["services"]
    return services


ServicesDependency = Annotated[Services, Depends(services_of)]
