"""The application: the only place where things are wired."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from threading import Thread
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

import gyoza
from app.api import control, health, metrics, models
from app.api.access import AccessLog
from app.api.cors import with_cors
from app.api.dependencies import Services
from app.api.docs import docs_routes
from app.api.error_handlers import on_gyoza_error, on_http_error
from app.api.explorer import explorer_routes
from app.api.flows import flow_routes
from app.api.gate import guard
from app.api.intake import Intake
from app.api.middleware import LastNet, RequestMiddleware
from app.api.prefix import with_prefix
from app.api.refusals import Refusals
from app.api.shortcut import Shortcut
from app.api.v2.infer import infer_routes
from app.api.v2.routes import v2_router
from app.engine import Engine
from app.errors import GyozaError
from app.halves import load_half_with_keras
from app.lifecycle import Lifecycle
from app.metrics import Metrics
from app.model import Loader, load_with_keras
from app.peers import Peers
from app.repository import LOADING, OwnControl, Repository, tidy
from app.settings import Settings, told
from app.threads import threads_of

if TYPE_CHECKING:
    from app.traces import Traces

Wrapper = Callable[[ASGIApp], ASGIApp]
OnLoaded = Callable[[Repository, float], None]
"""Told once, when every model is READY or UNAVAILABLE, how many seconds that took."""
GRACE_S = 1.0
"""So much longer than its deadline allows the answer to a request may take."""
SHOWN_EVERY_S = 1.0
"""What other workers show of this one's queues and models is no older."""
COMMON: Mapping[str, Any] = MappingProxyType(
    {
        "title": "gyoza",
        "version": gyoza.__version__,
        "summary": "Disentangling normalizing flows: latents to factors and back.",
        "exception_handlers": {GyozaError: on_gyoza_error, HTTPException: on_http_error},
        "openapi_url": None,
        "redirect_slashes": False,
    }
)
"""FastAPI's options of every service."""


class Service(FastAPI):
    """The application, and what stands around all of it: the order is that of this file alone.

    Args:
        settings: Who may come in.
        metrics: Where requests are counted.
        lifecycle: Whether the process is about to end.
        traces: Where the requests' spans are made, if anywhere.
        inside: What is put around the endpoints, where only requests come that may.
        **options: FastAPI's, beside those that are the same for every service.

    Raises:
        KeysFileError: A file of keys can't be read.
    """

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        lifecycle: Lifecycle,
        traces: "Traces | None",
        inside: Wrapper,
        **options: Any,
    ) -> None:
        """Put everything around everything."""
        super().__init__(**COMMON, **options)
        self.traces = traces
        self.access = AccessLog(metrics, traces.answered if traces else None)
        guarded = guard(inside(Shortcut(super().__call__)), settings)
        caught = with_prefix(LastNet(Refusals(guarded)), settings.root_path)
        self._outermost = RequestMiddleware(with_cors(caught, settings.origins), self.access, lifecycle)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        await self._outermost(scope, receive, send)

    def build_middleware_stack(self) -> ASGIApp:
        """Leave Starlette's own net under bugs out, which would answer before the one that knows ids and the log."""
        return cast("ServerErrorMiddleware", super().build_middleware_stack()).app


def create_app(  # noqa: PLR0913, PLR0917 - what differs between a server, a worker and a test
    settings: Settings | None = None,
    loader: Loader | None = None,
    on_loaded: OnLoaded = lambda *_: None,
    peers: Peers | None = None,
    counts: Metrics | None = None,
    lifecycle: Lifecycle | None = None,
    inside: Wrapper = lambda app: app,
    threads: int | None = None,
) -> FastAPI:
    """Wire the service.

    Args:
        settings: How; by default what the environment says.
        loader: What makes a flow of a file; by default the library, which needs Keras and lets files name what trusted
            modules registered.
        on_loaded: Told when the models are loaded.
        peers: The workers beside this one, which must be ready too; by default there are none.
        counts: Where everything is counted; by default for this process alone.
        lifecycle: Where the process is between its start and its end; told when the models are loaded.
        inside: Puts something around the endpoints, which only those requests reach that may come in.
        threads: So many passes are computed at once; by default the share of one worker.

    Returns:
        The application. Its lifespan loads the models beside the serving, and closes what it opened.
    """
    settings = settings or Settings()
    counts = counts or Metrics()
    lifecycle = lifecycle or Lifecycle()
    loader = loader or partial(load_with_keras, trusted_modules=settings.trusted)
    threads = threads or threads_of(settings.workers)
    open_all = partial(open_services, settings, loader, peers or Peers(), counts, lifecycle, threads)
    during = partial(lifespan, open_all, on_loaded)
    app = Service(settings, counts, lifecycle, traces_of(settings), inside, lifespan=during)
    add_routes(app, settings)
    return app


def add_routes(app: FastAPI, settings: Settings) -> None:
    """Add every endpoint."""
    app.router.routes.extend([*flow_routes(), *infer_routes()])
    for router in (models.router, control.router, health.router, metrics.router, v2_router()):
        app.include_router(router)
    app.router.routes.extend([*docs_routes(app, settings), *explorer_routes(settings)])


@asynccontextmanager
async def lifespan(
    open_all: Callable[[], Services], on_loaded: OnLoaded, app: Service
) -> AsyncIterator[dict[str, Any]]:
    """Open what lives as long as the application, load beside the serving, and close at the end."""
    services = open_all()
    # A daemon, since a load can't be interrupted: the process may end in the middle of one.
    Thread(target=load, args=(services, on_loaded), name=LOADING, daemon=True).start()
    showing = asyncio.create_task(show_gauges(services)) if services.metrics.is_shared else None
    try:
        yield {"services": services}
    finally:
        if showing is not None:
            showing.cancel()
        services.repository.close()
        services.engine.close()
        app.access.flush()
        if app.traces is not None:
            await asyncio.to_thread(app.traces.close)


def traces_of(settings: Settings) -> "Traces | None":
    """Start to send traces, if that is wanted.

    Raises:
        ImportError: The extra ``telemetry`` is not installed; the text says how to install it.
    """
    check_telemetry(settings)
    if settings.otel_endpoint is None:
        return None
    from app.traces import Traces  # noqa: PLC0415 - an optional extra.

    return Traces(settings.otel_endpoint)


def check_telemetry(settings: Settings) -> None:
    """Look whether what traces need is there, if they are wanted.

    Raises:
        ImportError: The extra ``telemetry`` is not installed; the text says how to install it.
    """
    if settings.otel_endpoint is None:
        return
    try:
        import app.traces  # noqa: F401, PLC0415 - an optional extra.
    except ImportError as missing:
        text = (
            f"needs OpenTelemetry, which is not installed ({missing}). Install the extra telemetry of gyoza-serve: "
            "pip install '.[telemetry]' in the checkout; or leave it out."
        )
        raise ImportError(told(("otel_endpoint",), text), name=missing.name) from missing


async def show_gauges(services: Services) -> None:
    """Show other workers what is as it is now, again and again."""
    while True:
        services.metrics.show(metrics.gauges(services))
        await asyncio.sleep(SHOWN_EVERY_S)


def open_services(  # noqa: PLR0913, PLR0917 - all that create_app was given
    settings: Settings, loader: Loader, peers: Peers, counts: Metrics, lifecycle: Lifecycle, threads: int
) -> Services:
    """Open all that lives as long as the application."""
    repository = Repository(
        settings.models_dir,
        settings.default_model,
        loader,
        settings.max_batch_rows,
        peers.known,
        partial(load_half_with_keras, trusted_modules=settings.trusted),
    )
    engine = Engine(
        threads=threads,
        max_batch_rows=settings.max_batch_rows,
        max_queue_rows=settings.queue_rows,
        batch_delay_s=settings.batch_delay_ms / 1e3,
        observer_of=counts.passes,
        longest_pass_s=settings.request_timeout_s,
    )
    own = OwnControl(repository, settings.request_timeout_s + GRACE_S, counts.load_failed)
    control = peers.control_of(own) if settings.repository_control else None
    intake = Intake(settings.intake_bytes)
    return Services(settings, repository, engine, peers, counts, lifecycle, control, intake=intake)


def load(services: Services, on_loaded: OnLoaded) -> None:
    """Load every model and tell so, unless the repository was closed meanwhile."""
    start, repository = time.perf_counter(), services.repository
    repository.load_all()
    if repository.closed:
        return
    tidy(thoroughly=True)
    services.lifecycle.loaded = True
    on_loaded(repository, time.perf_counter() - start)
