"""The container images, built once for all tests of them, and the service of this checkout to compare them with."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.container.images import SLIM, WHOLE, build
from deploy.container.running import Container
from deploy.container.tools import ToolError
from tests.app.servers import serving

ROOT = Path(__file__).parents[3]
MODELS = ROOT / "models"
ADDRESS = "http://127.0.0.1:8000"


@pytest.fixture(scope="session")
def images() -> tuple[str, str]:
    """Both images, the whole one and the slim one."""
    try:
        build(SLIM)
        build(WHOLE)
    except ToolError as error:
        pytest.fail(f"The images must be built: make image-test, as root on Debian. {error}", pytrace=False)
    return WHOLE, SLIM


@pytest.fixture(scope="session", params=["whole", "slim"])
def image(request: pytest.FixtureRequest, images: tuple[str, str]) -> str:
    """Each of the images."""
    return images[["whole", "slim"].index(request.param)]


@pytest.fixture(scope="session")
def containers(images: tuple[str, str]) -> Iterator[dict[str, Container]]:
    """A container of each image, ready, which tests only ask."""
    with Container(images[0]) as whole, Container(images[1]) as slim:
        for container in (whole, slim):
            container.wait_until_healthy()
        yield dict(zip(images, (whole, slim), strict=True))


@pytest.fixture
def container(image: str, containers: dict[str, Container]) -> Container:
    """A container of the image."""
    return containers[image]


@pytest.fixture
def mounted(tmp_path: Path) -> Path:
    """A folder that a container's user may look into."""
    tmp_path.chmod(0o755)
    return tmp_path


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    """Where the service of this checkout answers."""
    with serving(MODELS, module="app.cli", run="main") as (_, found, _):
        yield found


def ask(container: Container, path: str, *options: str, address: str = ADDRESS) -> Any:
    """Ask the service in a container by curl, and return what it answers."""
    with container.network():
        return json.loads(curl(f"{address}{path}", *options))


def curl(*arguments: str) -> str:
    """Run curl from the checkout's folder, as the README does."""
    command = ["curl", "--silent", "--show-error", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
