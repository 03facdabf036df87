"""A base image made of Debian's packages, as like to ``python:3.13-slim`` as can be had without a registry of images.

It is of the same release of Debian, has Python and pip on the path, certificates, and nothing else. Its Python is Debian's.
"""

import shutil
from pathlib import Path

from deploy.container.tools import WORK, ToolError, buildah, run

__all__ = ["BASE", "ensure_base"]

BASE = "localhost/gyoza-base:3.13"
SUITE = "trixie"
PACKAGES = "python3,python3-venv,python3-pip,ca-certificates"
LINKS = {"python": "python3", "python3": "python3", "python3.13": "python3", "pip": "pip3"}
"""Names in /usr/local/bin to those in /usr/bin."""
LEFT_OVER = ("usr/lib/python3*/EXTERNALLY-MANAGED", "var/cache/apt/*", "var/lib/apt/lists/*", "var/log/*")
PATH = "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"


def ensure_base() -> None:
    """Make the base image, unless it is there.

    Raises:
        ToolError: It can't be made.
    """
    try:
        buildah("inspect", "--type", "image", BASE)
    except ToolError:
        make_base(WORK / "base")


def make_base(folder: Path) -> None:
    """Make the base image, in a folder that is gone afterwards."""
    shutil.rmtree(folder, ignore_errors=True)
    try:
        options = ["--variant=minbase", f"--include={PACKAGES}", SUITE, str(folder)]
        run(["debootstrap", *options], log=WORK / "logs" / "debootstrap.log")
        finish(folder)
        commit(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def finish(folder: Path) -> None:
    """Leave out what installing left, and give commands the names that they have in the official image."""
    for pattern in LEFT_OVER:
        for path in folder.glob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for name, target in LINKS.items():
        link = folder / "usr" / "local" / "bin" / name
        link.unlink(missing_ok=True)
        link.symlink_to(f"/usr/bin/{target}")


def commit(folder: Path) -> None:
    """Make an image of a folder."""
    container = buildah("from", "scratch").strip()
    try:
        run(["cp", "-a", f"{folder}/.", buildah("mount", container).strip()])
        buildah("umount", container)
        buildah("config", "--env", f"PATH={PATH}", "--cmd", "python3", container)
        buildah("commit", "--quiet", container, BASE)
    finally:
        buildah("rm", container)
