"""What a run was made on: the machine and the versions, without names of hosts or paths."""

import os
import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

import gyoza
from benchmarks.service.environments import REQUIREMENTS
from benchmarks.service.requests import wrk_version

__all__ = ["machine", "versions"]

PACKAGES = (
    "numpy",
    "keras",
    "tensorflow-cpu",
    "tensorflow",
    "fastapi",
    "starlette",
    "uvicorn",
    "uvloop",
    "httptools",
    "pydantic",
    "orjson",
)


def machine() -> dict[str, str]:
    """Return the processor, how many CPUs this process may use, the memory and the system."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": processor(),
        "CPUs": str(len(os.sched_getaffinity(0))),
        "memory": f"{memory:.0f} GiB",
        "system": f"{platform.system()} on {platform.machine()}",
    }


def processor() -> str:
    """Return the processor's name as the system tells it."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "unknown"


def versions(environments: Iterable[str] = ()) -> dict[str, str]:
    """Return the versions of all that takes part: of this environment, and what others pin."""
    found = {"gyoza": gyoza.__version__, "Python": platform.python_version(), "BLAS": blas()}
    found |= {name: known for name in PACKAGES if (known := installed(name))}
    found["wrk"] = wrk_version() or "not installed"
    for name in environments:
        found[f"in {name}'s environment"] = ", ".join(pins(REQUIREMENTS / f"{name}.txt"))
    return found


def installed(name: str) -> str | None:
    """Return the version of a package; None where it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def blas() -> str:
    """Return the library that multiplies NumPy's matrices."""
    config: Any = np.show_config(mode="dicts")
    found = config["Build Dependencies"]["blas"]
    return f"{found['name']} {found['version']}"


def pins(requirements: Path) -> list[str]:
    """Return the packages that a file of requirements pins."""
    lines = (line.partition("#")[0].strip() for line in requirements.read_text().splitlines())
    return [line.replace("==", " ") for line in lines if line]
