"""The two images: built of the ``Dockerfile``, looked into, and laid open as a folder."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from deploy.container.base import BASE, ensure_base
from deploy.container.lending import lent
from deploy.container.tools import ROOT, WORK, buildah, check_tools

__all__ = ["SLIM", "VARIANTS", "WHOLE", "build", "configuration", "opened"]

WHOLE, SLIM = "localhost/gyoza:whole", "localhost/gyoza:slim"
VARIANTS = {WHOLE: [], SLIM: ["--target", "slim"]}
"""Each image's name to the options that build it."""


def build(image: str, **arguments: str) -> None:
    """Build an image, on a base of Debian's packages; layers that are as they were are not built again.

    Args:
        image: One of ``VARIANTS``.
        arguments: Build arguments of the ``Dockerfile``.

    Raises:
        ToolError: It can't be built.
    """
    check_tools()
    ensure_base()
    given = {"BASE": BASE, **stamp(), **arguments}
    options = [f"--build-arg={name}={value}" for name, value in given.items()]
    with lent() as lending:
        buildah(
            *(
                "bud",
                "--pull-never",
                "--format",
                "docker",
                "--network",
                "host",
                "--layers",
                "--force-rm",
                "--tag",
                image,
            ),
            *VARIANTS[image],
            *options,
            *lending,
            str(ROOT),
            log=WORK / "logs" / f"build-{image.rpartition(':')[2]}.log",
        )


@cache
def stamp() -> dict[str, str]:
    """Return what the build is told of itself; a time from ``SOURCE_DATE_EPOCH`` where that is set."""
    git = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    when = datetime.fromtimestamp(int(epoch), UTC) if epoch else datetime.now(UTC)
    return {"REVISION": git.stdout.strip() or "unknown", "CREATED": when.isoformat(timespec="seconds")}


def configuration(image: str) -> dict[str, Any]:
    """Return how an image says that it is run, as Docker keeps it."""
    found: dict[str, Any] = json.loads(buildah("inspect", "--type", "image", image))["Docker"]["config"]
    return found


@contextmanager
def opened(image: str) -> Iterator[Path]:
    """Give the folder with an image's files; what is changed there is lost afterwards."""
    container = buildah("from", "--pull-never", image).strip()
    try:
        yield Path(buildah("mount", container).strip())
    finally:
        buildah("umount", container)
        buildah("rm", container)
