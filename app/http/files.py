"""How many files, and so connections, a process may have open."""

from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from typing import Any

resource: Any = import_module("resource") if find_spec("resource") else None

ENOUGH = 65_536
"""An idle connection takes 7 KB, so that no more than .5 GB are taken by those."""


def raise_file_limit() -> None:
    """Let this process, and those that it starts, have as many files open as it may; systems often begin with 1,024."""
    if resource is None:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    enough = ENOUGH if hard == unlimited else min(hard, ENOUGH)
    if soft != unlimited and soft < enough:
        with suppress(OSError, ValueError):  # Some systems allow less than they say.
            resource.setrlimit(resource.RLIMIT_NOFILE, (enough, hard))
