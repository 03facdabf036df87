"""What can be said of Ray Serve where it is not installed; ``tests/ray`` has the rest."""

import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest

from app.hosting.placement import Hold
from app.settings import Settings
from tests.app.hosting.worlds import keeping, note_threads
from tests.app.worlds import tiny_loader

NAME = "app.ray_serve"
CPUS = 6.0


@pytest.fixture
def ray() -> MagicMock:
    """What stands in for Ray: it gives a replica so many cores, and keeps its models."""

    def multiplexed(*, max_num_models_per_replica: int) -> Callable[[Hold], Hold]:
        return keeping(max_num_models_per_replica)

    ray = MagicMock()
    ray.get_runtime_context().get_assigned_resources.return_value = {"CPU": CPUS}
    ray.serve.multiplexed = multiplexed
    return ray


@pytest.fixture
def ray_serve(ray: MagicMock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The module, imported where that stands in for Ray, and forgotten afterwards."""
    for name, module in {"ray": ray, "ray.serve": ray.serve, "ray.serve.config": ray.serve.config}.items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.delitem(sys.modules, NAME, raising=False)
    yield import_module(NAME)
    sys.modules.pop(NAME, None)


def test_without_ray_it_is_said_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the name of the extra."""
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, NAME, raising=False)
    with pytest.raises(ImportError, match=r"Install the extra ray of gyoza-serve: pip install '\.\[ray\]'"):
        import_module(NAME)


@pytest.mark.parametrize("models_per_replica", [None, 1])
async def test_a_replica_computes_in_as_many_threads_as_it_has_cores(
    models_per_replica: int | None, ray_serve: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In those that Ray gave it, however many the machine has, with all models and with some."""
    monkeypatch.setattr("app.threads.usable_cores", lambda: 16)
    monkeypatch.setattr(ray_serve, "configure_logging", lambda _: None)
    noted = note_threads(monkeypatch)
    replica = object.__new__(ray_serve.Replica)
    await replica.__init__(Settings(models_dir=folder, default_model="tiny"), models_per_replica, tiny_loader)
    app = replica.__serve_build_asgi_app__()
    await getattr(app, "host", app).stop()
    assert noted == [CPUS]


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"port": 70_000}, "GYOZA_PORT: Input should be less than or equal to 65535"),
        ({"workers": 2}, "GYOZA_WORKERS: must be 1, since Ray starts the processes"),
    ],
)
def test_a_setting_that_can_not_be_is_told(wrong: dict[str, Any], text: str, ray_serve: Any) -> None:
    """By the name of its variable, before anything is deployed."""
    with pytest.raises(ValueError, match=text):
        ray_serve.settings_of(wrong)


def test_traces_without_their_extra_are_told(ray_serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the words of ``gyoza serve``, before anything is deployed."""
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    monkeypatch.delitem(sys.modules, "app.traces", raising=False)
    monkeypatch.delattr("app.traces", raising=False)
    text = r"GYOZA_OTEL_ENDPOINT: needs OpenTelemetry.*Install the extra telemetry of gyoza-serve.*or leave it out\."
    with pytest.raises(ValueError, match=text):
        ray_serve.settings_of({"otel_endpoint": "http://localhost:4318"})
