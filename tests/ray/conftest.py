"""One Ray cluster for all tests, on this machine alone; each test has its own deployment on it."""

import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
NAME = "gyoza"
SECONDS = 60
MARKS = [
    pytest.mark.ray,
    # Ray's own use of what it depends on.
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::ResourceWarning"),
]
Deploy = Callable[..., str]
"""Settings, and options of the deployment, to the address that serves."""


@pytest.fixture(scope="session")
def cluster() -> Iterator[str]:
    """The address of the proxy of a cluster of Ray, which has no deployment yet."""
    if find_spec("ray") is None:
        pytest.fail(
            "tests/ray must run where Ray is installed. Make such an environment, and run them in it: make ray-test"
        )
    folder = tempfile.mkdtemp(prefix="gyoza-ray-", dir="/tmp")
    environment = {
        "PYTHONPATH": str(ROOT),
        "RAY_AUTH_TOKEN": secrets.token_hex(),
        "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "app.hosting.around_proxy",
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # In spite of its name, what keeps its ports to 127.0.0.1 everywhere.
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        try:
            yield from running(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def running(folder: str) -> Iterator[str]:
    """Run a cluster, whose files are in a folder."""
    import ray
    from ray import serve

    port = free_port()
    ray.init(
        num_cpus=6,
        include_dashboard=False,
        object_store_memory=100 * 2**20,
        _temp_dir=folder,
        log_to_driver=False,
    )
    try:
        quiet = {"log_level": "WARNING", "enable_access_log": False}
        serve.start(http_options={"host": "127.0.0.1", "port": port}, logging_config=quiet)
        yield f"http://127.0.0.1:{port}"
        serve.shutdown()
    finally:
        ray.shutdown()


@pytest.fixture
def deploy(cluster: str) -> Iterator[Deploy]:
    """What deploys the service, which ends with the test."""
    from ray import serve

    from app.ray_serve import Arguments, application

    def run(settings: dict[str, Any], models_per_replica: int | None = None, loader: Any = None, **options: Any) -> str:
        args = Arguments(settings=settings, models_per_replica=models_per_replica)
        options = {"graceful_shutdown_timeout_s": 20, **options}
        serve.run(application(args, loader, **options), name=NAME)
        return cluster

    yield run
    serve.delete(NAME)


@contextmanager
def serving(*arguments: str) -> Iterator[str]:
    """The address of a plain server process."""
    command = [sys.executable, "-c", "from app.cli import main; main()", "serve", "--port", "0", *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            assert server.stdout
            banners = (re.match(r"Serving on (http://\S+)", line) for line in server.stdout)
            banner = next(filter(None, banners), None)
            assert banner, "it ended before it served"
            yield banner[1]
        finally:
            server.terminate()
            server.communicate(timeout=SECONDS)


def free_port() -> int:
    """A port that nobody has at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
    return port


def replicas() -> list[int]:
    """The process ids of all replicas."""
    return [int(path.parent.name) for path in Path("/proc").glob("[0-9]*/cmdline") if is_replica(path)]


def is_replica(path: Path) -> bool:
    """Whether a process is a replica of these tests' own."""
    own = f"RAY_AUTH_TOKEN={os.environ['RAY_AUTH_TOKEN']}\0".encode()
    try:
        is_one = path.read_bytes().startswith(f"ray::ServeReplica:{NAME}:{NAME}".encode())
        return is_one and own in path.with_name("environ").read_bytes()
    except OSError:
        return False
