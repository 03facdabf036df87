"""What a build of the images stands on, looked at without building them."""

import re
from pathlib import Path

import gyoza

ROOT = Path(__file__).parents[3]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
PIN = re.compile(r"^([a-z0-9._-]+==\S+)(.*?)\s*\\?$", re.MULTILINE)


def pins(name: str) -> set[tuple[str, str]]:
    """The versions that a lock file pins, each with its platforms."""
    return set(PIN.findall((ROOT / "requirements" / f"{name}.txt").read_text()))


def test_the_version_is_the_packages() -> None:
    """An image says of itself the version of the package in it."""
    found = re.search(r"^ARG VERSION=(.+)$", DOCKERFILE, re.MULTILINE)
    assert found
    assert found[1] == gyoza.__version__


def test_the_context_is_what_is_copied() -> None:
    """``.dockerignore`` lets in what the ``Dockerfile`` copies, and nothing else."""
    lines = (ROOT / ".dockerignore").read_text().split()
    copied = {
        name for line in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE) for name in line.split()
    }
    assert lines[0] == "*"
    assert {line.removeprefix("!") for line in lines if line.startswith("!")} == copied
    assert all((ROOT / name).exists() for name in copied)


def test_of_the_models_only_the_bundled_one_is_copied() -> None:
    """Both images have the bundled model, and nothing else that happens to lie in the checkout's folder of models."""
    found = re.findall(r"^COPY (models\S*) (\S+)$", DOCKERFILE, re.MULTILINE)
    assert found == [("models/digits", "/models/digits")] * 2


def test_the_slim_image_has_the_versions_of_the_whole_one() -> None:
    """All that the slim image has, the whole one has in the same version, so that both give the same answers."""
    slim, whole = pins("slim"), pins("serve")
    names = {pin.partition("==")[0] for pin, _ in slim}
    assert {"fastapi", "numpy", "uvicorn"} < names
    assert slim <= whole
    assert not names & {"keras", "tensorflow", "tensorflow-cpu", "h5py"}


def test_the_base_is_named_once() -> None:
    """Every stage stands on one base, which a build argument names."""
    bases = set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE))
    stages = set(re.findall(r"^FROM \S+ AS (\S+)$", DOCKERFILE, re.MULTILINE))
    assert bases - stages == {"${BASE}"}
