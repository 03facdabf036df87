"""The commands that build and run images, and how each is called: ``python -m deploy.container.tools`` installs them."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["ROOT", "WORK", "ToolError", "buildah", "check_tools", "run"]

ROOT = Path(__file__).parents[2]
WORK = ROOT / "build" / "container"
"""All that is made lies here; ``rm -r`` takes it away again."""
PACKAGES: Mapping[str, str] = {name: name for name in ("buildah", "crun", "debootstrap", "curl", "wrk")}
"""Command to the package of Debian that it is from."""
STORAGE = ("--root", str(WORK / "storage"), "--runroot", str(WORK / "runroot"))


class ToolError(Exception):
    """An image can't be built or run here; the text says what must hold."""


def buildah(*arguments: str, **options: Any) -> str:
    """Call buildah, with a storage of our own, and return what it prints.

    Raises:
        ToolError: It failed.
    """
    return run(["buildah", *STORAGE, *arguments], env={**os.environ, "BUILDAH_ISOLATION": "chroot"}, **options)


def run(command: Sequence[str], *, log: Path | None = None, **options: Any) -> str:
    """Run a command, and return what it prints, or write that to a log.

    Raises:
        ToolError: It failed.
    """
    if log is None:
        done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
        told = done.stderr
    else:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("w") as file:
            done = subprocess.run(command, stdout=file, stderr=file, text=True, check=False, **options)
        told = log.read_text()
    if done.returncode:
        raise ToolError(f"{' '.join(command[:1])} must end with 0, and ended with {done.returncode}:\n{told[-3000:]}")
    return done.stdout or ""


def check_tools() -> None:
    """See that images can be built and run here.

    Raises:
        ToolError: They can't.
    """
    if sys.platform != "linux" or os.geteuid() != 0:
        raise ToolError(
            "Images are built and run here by root on Linux alone. Run it as root, or use a container engine."
        )
    if missing := [name for name in PACKAGES if shutil.which(name) is None]:
        raise ToolError(
            f"{', '.join(missing)} must be installed. Install what is missing: python -m deploy.container.tools"
        )


def install() -> None:
    """Install what is missing, where that is Debian."""
    missing = [package for name, package in PACKAGES.items() if shutil.which(name) is None]
    if not missing:
        return
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        sys.exit(
            f"{', '.join(missing)} must be installed, which only root on Debian can do here. Install them by hand."
        )
    print(f"Installing {', '.join(missing)} by apt-get …", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "-y", "--no-install-recommends", *missing]):
        subprocess.run(["apt-get", "-qq", *command], check=True, env=environment, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    install()
