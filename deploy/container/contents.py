"""What an image holds, in bytes: on top of its base, and by what it is made of."""

from collections.abc import Iterator, Mapping
from importlib.metadata import Distribution, distributions
from pathlib import Path

from deploy.container.base import BASE
from deploy.container.images import opened

__all__ = ["composition", "files_of", "size_on_top"]

ENVIRONMENT, MODELS = "opt/gyoza", "models"
OWN, BYTECODE, ELSE = "gyoza", "bytecode", "else"
PACKAGE = "gyoza-serve"
TENSORFLOW = ("tensorflow", "tensorflow-cpu")


def files_of(folder: Path) -> Iterator[Path]:
    """Yield all files and links below a folder."""
    return (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())


def size(folder: Path) -> int:
    """Return the bytes of all files below a folder."""
    return sum(path.lstat().st_size for path in files_of(folder))


def size_on_top(image: str) -> int:
    """Return by how many bytes an image is larger than its base."""
    with opened(image) as root, opened(BASE) as base:
        return size(root) - size(base)


def composition(image: str) -> dict[str, int]:
    """Return of what an image's bytes on top of its base are made, the largest first: packages, models, bytecode."""
    found: dict[str, int] = {}
    with opened(image) as root, opened(BASE) as base:
        found |= packages(root / ENVIRONMENT)
        found["models"] = size(root / MODELS)
        found[ELSE] = size(root) - size(base) - sum(found.values())
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def packages(environment: Path) -> Mapping[str, int]:
    """Return the bytes of each package, and of the bytecode of all of them."""
    (site,) = environment.glob("lib/python*/site-packages")
    found = {name_of(known): sum(sizes(known)) for known in distributions(path=[str(site)])}
    return {**found, BYTECODE: sum(path.stat().st_size for path in site.rglob("*.pyc"))}


def name_of(known: Distribution) -> str:
    """Return a package's name, one for all builds of TensorFlow."""
    name = known.metadata["Name"].lower().replace("_", "-")
    return "tensorflow" if name in TENSORFLOW else OWN if name == PACKAGE else name


def sizes(known: Distribution) -> Iterator[int]:
    """Yield the bytes of each file that a package has installed and that is still there."""
    for file in known.files or ():
        path = Path(str(known.locate_file(file)))
        if path.suffix != ".pyc" and path.is_file() and not path.is_symlink():
            yield path.stat().st_size
