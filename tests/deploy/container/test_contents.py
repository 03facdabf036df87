"""What the images hold, and what they must not: sizes, configuration, leftovers of the build."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.container.base import BASE
from deploy.container.contents import composition, files_of, size_on_top
from deploy.container.images import SLIM, WHOLE, configuration, opened
from deploy.container.lending import CERTIFICATES, pip_settings

pytestmark = pytest.mark.image

LIMITS = {WHOLE: 1.25e9, SLIM: 110e6}
"""Bytes on top of the base."""
COMPILERS = re.compile(r"(?:.*-)?(?:gcc|g\+\+|cc|c\+\+|cc1|clang|ld|as|make|cmake|rustc|cargo|go|cython)(?:-[\d.]+)?")
HEADER = re.compile(r".*\.(?:h|hh|hpp|hxx|pxd|pyx|a|c|cc|cpp)")
TEST = re.compile(r"(?:test_.*|.*_test|conftest)\.py")
HELPERS = frozenset({"absl", "annotated_types", "keras", "opentelemetry", "pasta", "tensorflow"})
"""Packages whose ``test_….py`` are helpers that others import, no tests."""
ACCOUNTS = {"passwd-", "group-", "shadow-", "gshadow-", "subuid-", "subgid-"}
"""What adding a user leaves in /etc."""


@pytest.fixture(scope="module")
def root(image: str) -> Iterator[Path]:
    """The folder with an image's files."""
    with opened(image) as folder:
        yield folder


@pytest.fixture(scope="module")
def added(root: Path) -> list[Path]:
    """The files that the image has and its base has not, from its root."""
    with opened(BASE) as base:
        known = {path.relative_to(base) for path in files_of(base)}
    return [path for found in files_of(root) if (path := found.relative_to(root)) not in known]


def test_it_says_how_it_is_run(image: str) -> None:
    """User, command, port, signal, health check, folder of models and labels are told by its configuration."""
    config = configuration(image)
    assert (config["User"], config["Cmd"], config.get("Entrypoint") or None) == (
        "10001:10001",
        ["gyoza", "serve"],
        None,
    )
    assert (config["StopSignal"], list(config["ExposedPorts"])) == ("SIGTERM", ["8000/tcp"])
    assert config["Healthcheck"]["Test"] == ["CMD", "python", "-Im", "app.healthcheck"]
    environment = dict(item.split("=", 1) for item in config["Env"])
    assert environment.pop("PATH").startswith("/opt/gyoza/bin:")
    assert environment == {
        "PYTHONUNBUFFERED": "1",
        "KERAS_HOME": "/tmp/keras",  # noqa: S108 - the container's own.
        "GYOZA_HOST": "0.0.0.0",  # noqa: S104 - of the container's own network.
        "GYOZA_PORT": "8000",
        "GYOZA_MODELS_DIR": "/models",
    }
    labels = {name.removeprefix("org.opencontainers.image."): value for name, value in config["Labels"].items()}
    assert {"title", "description", "licenses", "version", "revision", "created"} <= labels.keys()
    assert re.fullmatch(r"[0-9a-f]{40}|unknown", labels["revision"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:]+\+00:00", labels["created"])


def test_it_is_small(image: str) -> None:
    """On top of its base it stays below its limit, and what it is made of adds up to its size."""
    size = size_on_top(image)
    assert size <= LIMITS[image]
    assert sum(composition(image).values()) == size


def test_the_slim_one_has_no_keras(images: tuple[str, str]) -> None:
    """Neither Keras nor what it stands on is in the slim image; the whole one has them."""
    whole, slim = (composition(image).keys() for image in images)
    assert {"keras", "tensorflow", "h5py"} <= whole
    assert not {"keras", "tensorflow", "h5py"} & slim


def test_nothing_of_the_build_is_left(root: Path, added: list[Path]) -> None:
    """No compiler, no header, no source of an extension, no cache and no pip of its own are on top of the base."""
    assert not [path for path in added if COMPILERS.fullmatch(path.name) and os.access(root / path, os.X_OK)]
    assert not [path for path in added if HEADER.fullmatch(path.name)]
    folders = [path for path in added if {".cache", "pip", "src", "wheels"} & set(path.parts)]
    assert not [path for path in folders if not {"keras", "pasta"} & set(path.parts) and ".dist-info" not in str(path)]
    assert not [path for path in added if path.suffix == ".whl" or path.name == "pip.conf"]


def test_no_tests_are_in_it(added: list[Path]) -> None:
    """No tests of any package are on top of the base, nor the project's own."""
    assert not [path for path in added if "tests" in path.parts and ".dist-info" not in str(path)]
    found = [path for path in added if TEST.fullmatch(path.name)]
    assert not [path for path in found if not (path.name.startswith("test_") and HELPERS & set(path.parts))]


def test_every_module_is_compiled(root: Path, added: list[Path]) -> None:
    """Each module of each package has its bytecode, since a server that may not write would compile it at every start."""
    sources = [root / path for path in added if path.suffix == ".py" and "site-packages" in path.parts]
    missing = [path for path in sources if not list((path.parent / "__pycache__").glob(f"{path.stem}.cpython-*.pyc"))]
    assert sources
    assert not missing


def test_nothing_of_this_machine_is_in_it(root: Path, added: list[Path]) -> None:
    """Neither the settings of this machine's package index nor its certificates were written into the image."""
    settings = pip_settings(os.environ).values()
    secrets = {part for value in settings for part in value.split() if "://" in part}
    secrets |= {os.environ[name] for name in CERTIFICATES if name in os.environ}
    small = [root / path for path in added if not (root / path).is_symlink() and (root / path).stat().st_size < 2**20]
    own = [path for path in small if path.suffix in {".txt", ".conf", ".cfg", ".ini", ".toml", ".json", ""}]
    telling = {path for path in own for secret in secrets if secret.encode() in path.read_bytes()}
    assert own
    assert not {path for path in telling if "certifi" not in path.parts}
    assert {path.name for path in added if path.parts[0] == "etc"} <= ACCOUNTS
    assert not [path for path in added if path.parts[0] in {"tmp", "root", "home"}]
