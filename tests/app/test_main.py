"""The application as a whole."""

import asyncio
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from app.main import create_app
from app.repository import LOADING, Repository
from app.settings import Settings
from gyoza.inference.checks import Golden
from tests.app.worlds import TinyFlow, client_of, put, tiny_loader

ROOT = Path(__file__).parents[2]


async def test_it_tells_once_when_all_is_loaded(folder: Path) -> None:
    """When every model is READY or UNAVAILABLE that is told once, with the seconds that it took."""
    put(folder, name="bad", text="?")
    told: list[tuple[list[str], float]] = []

    def on_loaded(repository: Repository, seconds: float) -> None:
        told.append(([entry.state.value for entry in repository.entries], seconds))

    async with client_of(create_app(Settings(models_dir=folder), tiny_loader, on_loaded)):
        while not told:
            await asyncio.sleep(0.001)
    ((states, seconds),) = told
    assert states == ["UNAVAILABLE", "READY"]
    assert seconds > 0


async def test_it_closes_while_it_loads(folder: Path) -> None:
    """An application that is closed while it loads does not wait, begins no other file, and announces nothing."""
    put(folder, name="other")
    begun, gate = threading.Event(), threading.Event()
    loads: list[Path] = []
    told: list[Repository] = []

    def slow_loader(path: Path, golden: Golden | None) -> TinyFlow:
        loads.append(path)
        begun.set()
        gate.wait()
        return tiny_loader(path, golden)

    app = create_app(Settings(models_dir=folder), slow_loader, lambda repository, _: told.append(repository))
    async with client_of(app, wait=False) as client:
        await asyncio.to_thread(begun.wait)
        assert (await client.get("/livez")).status_code == 200
    (loading,) = (thread for thread in threading.enumerate() if thread.name == LOADING)
    gate.set()
    await asyncio.to_thread(loading.join)
    assert len(loads) == 1
    assert told == []


def test_no_interpreter_waits_for_a_load(folder: Path) -> None:
    """Whoever runs the application by another server ends as soon as that does, in the middle of a load too."""
    script = """
import asyncio, sys
from app.main import create_app
from app.settings import Settings
from tests.app.worlds import endless_loader

async def open_and_close():
    app = create_app(Settings(models_dir=sys.argv[1]), endless_loader)
    async with app.router.lifespan_context(app):
        pass

asyncio.run(open_and_close())
"""
    subprocess.run([sys.executable, "-c", script, str(folder)], cwd=ROOT, check=True, timeout=60)


async def test_the_environment_is_the_default(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without settings, the application follows the environment."""
    monkeypatch.setenv("GYOZA_MODELS_DIR", str(folder))
    async with client_of(create_app(loader=tiny_loader)) as client:
        assert (await client.get("/readyz")).status_code == 200


def test_the_service_imports_no_keras() -> None:
    """Importing the service imports neither Keras nor any backend."""
    script = (
        "import sys, app.cli; print([name for name in ('keras', 'tensorflow', 'jax', 'torch') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
