"""The virtual environments of other servers, made from pinned requirements by uv where it is, else by venv and pip."""

import compileall
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.flows.specs import ROOT, WORK

__all__ = ["ensure", "python"]

REQUIREMENTS = ROOT / "benchmarks" / "requirements"


def folder(name: str) -> Path:
    """Return where an environment lies."""
    return WORK / "environments" / name


def python(name: str) -> Path:
    """Return the interpreter of an environment."""
    return folder(name) / "bin" / "python"


def ensure(name: str) -> None:
    """Make an environment, or complete it, unless its requirements are as they were.

    Raises:
        subprocess.CalledProcessError: A package could not be installed.
    """
    requirements, done = REQUIREMENTS / f"{name}.txt", folder(name) / "requirements.txt"
    if done.is_file() and done.read_bytes() == requirements.read_bytes():
        return
    for command in commands(name, requirements):
        subprocess.run(command, check=True)
    # As the build of an image would: what is compiled at the first start would make that start slow.
    compileall.compile_dir(folder(name) / "lib", quiet=2, workers=2)
    shutil.copyfile(requirements, done)


def commands(name: str, requirements: Path) -> list[list[str]]:
    """Return what makes an environment."""
    uv, own = shutil.which("uv"), str(python(name))
    if uv:
        return [
            [uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(folder(name))],
            [uv, "pip", "install", "--quiet", "--python", own, "--requirements", str(requirements)],
        ]
    install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement", str(requirements)]
    return [[sys.executable, "-m", "venv", str(folder(name))], [own, *install]]
