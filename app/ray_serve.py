"""The service on many machines: the same application, in replicas that Ray Serve starts, watches, scales and ends.

``serve run deploy/ray/serve.yaml`` reads what is built here; ``deploy/README.md`` tells when that is worth it.
"""

import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.types import ASGIApp

from app.hosting import Host, Placement
from app.logs import configure_logging
from app.main import check_telemetry
from app.model import Loader
from app.settings import Settings, told
from app.threads import limit_blas, threads_for

try:
    import ray
    from ray import serve
    from ray.serve.config import BackpressureConfig
except ImportError as missing:
    raise ImportError(
        f"app.ray_serve needs Ray Serve, which is not installed ({missing}). Install the extra ray of gyoza-serve: "
        "pip install '.[ray]' in the checkout.",
        name=missing.name,
    ) from missing

GRACE_S = 5.0
"""So much longer than a request may take a replica may, from being asked to end to its end."""
DEFAULTS: Mapping[str, Any] = MappingProxyType(
    {
        "max_ongoing_requests": 64,
        "max_queued_requests": 256,
        "max_surge_percent": 25,
        "backpressure_config": BackpressureConfig(status_code=429, retry_after_s=1),
        "health_check_period_s": 5,
        "health_check_timeout_s": 15,
        "graceful_shutdown_wait_loop_s": 0.2,
        "ray_actor_options": {"num_cpus": 1},
    }
)
"""Of a deployment; what the YAML says of it comes first."""
ALONE: Mapping[str, str] = MappingProxyType(
    {
        "workers": "must be 1, since Ray starts the processes. Choose num_replicas or autoscaling_config instead",
        "repository_control": "must be false, since a request reaches one replica of many. Deploy again instead",
        "pre_stop_delay_s": "must be left out, since Ray ends a replica. Set graceful_shutdown_timeout_s instead",
        "drain_timeout_s": "must be left out, since Ray ends a replica. Set graceful_shutdown_timeout_s instead",
        "tls_certificate": "must be unset, since Ray's proxy has the port. Set ssl_certfile in its http_options instead",
    }
)
"""Settings that would not do what they say, by what must hold of each."""


class Arguments(BaseModel):
    """What the YAML gives to ``build`` as ``args``."""

    model_config = ConfigDict(extra="forbid")

    settings: dict[str, Any] = Field(
        default_factory=dict,
        description="Settings of the service; those left out come from GYOZA_<NAME>, else defaults.",
    )
    models_per_replica: int | None = Field(
        None,
        ge=1,
        description="Most models that a replica holds, loaded on demand; unset: each holds all of the folder.",
    )


class Replica:
    """The application in one process of Ray's.

    Args:
        settings: How it serves.
        models_per_replica: The most models that it holds at once, loaded on demand; None: all, loaded at the start.
        loader: What makes a flow of a file; None: what ``create_app`` takes then.

    Raises:
        RuntimeError: It is not ready when all is loaded; the text says why.
        ValueError: The settings do not go with models on demand.
    """

    async def __init__(  # type: ignore[misc]  # Ray awaits it.
        self, settings: Settings, models_per_replica: int | None = None, loader: Loader | None = None
    ) -> None:
        """Load what must be there before the first request comes."""
        threads = threads_for(ray.get_runtime_context().get_assigned_resources().get("CPU", 1.0))
        configure_logging(settings)
        limit_blas(os.environ)
        self._app: Host | Placement
        if models_per_replica is None:
            self._app = Host(settings, loader, threads=threads)
        else:
            keep = serve.multiplexed(max_num_models_per_replica=models_per_replica)
            placement = Placement(settings, keep, loader, threads)
            self._app = placement
            self._hold = placement.hold  # Here Ray looks for what tells it of models.
        await self._app.start()

    def __serve_build_asgi_app__(self) -> ASGIApp:
        """Return what answers requests, once it is ready; so Ray asks for it."""
        return self._app

    def check_health(self) -> None:
        """Tell Ray, which asks again and again, whether another replica should take the place of this one.

        Raises:
            RuntimeError: It should; the text says why.
        """
        if fault := self._app.fault:
            raise RuntimeError(fault)


def build(args: Arguments) -> serve.Application:
    """Make of the ``args`` of a YAML what Ray runs."""
    return application(args)


def application(args: Arguments, loader: Loader | None = None, **options: Any) -> serve.Application:
    """Make what Ray runs.

    Args:
        args: What is served, and how.
        loader: What makes a flow of a file; None: what ``create_app`` takes then.
        **options: Of the deployment, in the place of ``DEFAULTS``.

    Raises:
        ValueError: A setting is not what it may be; the text names it.
    """
    settings = settings_of(args.settings)
    usual = {**DEFAULTS, "graceful_shutdown_timeout_s": settings.request_timeout_s + GRACE_S}
    deployment = serve.deployment(serve.ingress()(Replica), name="gyoza", **{**usual, **options})
    return deployment.bind(settings, args.models_per_replica, loader)


def settings_of(given: Mapping[str, Any]) -> Settings:
    """Read the settings, or say which can't be.

    Raises:
        ValueError: One is not what it may be, needs what is not installed, or would not do what it says.
    """
    try:
        settings = Settings(**given)
        check_telemetry(settings)
    except ValidationError as error:
        raise ValueError("\n".join(told(item["loc"], item["msg"]) for item in error.errors())) from None
    except ImportError as error:
        raise ValueError(str(error)) from None
    for name, rule in ALONE.items():
        value = getattr(settings, name)
        if value != Settings.model_fields[name].default:
            raise ValueError(told((name,), f"{rule}. Received: {value}."))
    return settings
