"""Servers that wait for clients as always, only not as long."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from subprocess import Popen
from typing import Any

import uvloop

from app import cli
from app.commands import serve
from app.http import limits
from app.main import create_app
from app.workers import supervise
from app.workers.worker import work
from tests.app.servers import serving
from tests.app.worlds import tiny_loader

HEAD_S, TAKE_S, FAREWELL_S, SHUTDOWN_S = 3.0, 1.0, 0.5, 1.0
SLOW_TAKE_S, SLOW_KEEP_ALIVE_S = 2.5, 1.0
"""For a client that reads for longer than either."""


def hurry() -> None:
    """Shorten what clients may take; connections are kept, and heard out, for as long as ever."""
    limits.HEAD_TIMEOUT_S, limits.TAKE_TIMEOUT_S, limits.FAREWELL_TIMEOUT_S = HEAD_S, TAKE_S, FAREWELL_S
    limits.LOOK_EVERY_S = 0.1
    accept = uvloop.Loop.connect_accepted_socket

    def connect_accepted_socket(*arguments: Any, ssl_shutdown_timeout: float | None = None, **options: Any) -> Any:
        """Give TLS little time to end where the server says nothing of it; the loop's own default is half a minute."""
        shutdown_s = ssl_shutdown_timeout or (SHUTDOWN_S if options["ssl"] else None)
        return accept(*arguments, ssl_shutdown_timeout=shutdown_s, **options)

    uvloop.Loop.connect_accepted_socket = connect_accepted_socket  # type: ignore[method-assign]


def serve_hurried(arguments: list[str]) -> None:
    """Run the command line as users do, but with the tiny loader and in a hurry."""
    hurry()
    serve_from_here(arguments)


def serve_slow_readers(arguments: list[str]) -> None:
    """Run it so that connections are not kept for long, but with more time for who takes its answer slowly."""
    hurry()
    limits.TAKE_TIMEOUT_S, limits.KEEP_ALIVE_S = SLOW_TAKE_S, SLOW_KEEP_ALIVE_S
    serve_from_here(arguments)


def serve_from_here(arguments: list[str]) -> None:
    """Run the command line with the tiny loader, and workers of this file."""
    command = [sys.executable, "-c", f"from {__name__} import work_hurried; work_hurried()"]
    vars(serve).update(
        create_app=lambda settings, **options: create_app(settings, tiny_loader, **options),
        supervise=partial(supervise, command=command),
    )
    cli.main(arguments)


def work_hurried() -> None:
    """Be a worker with the tiny loader and in a hurry."""
    hurry()
    work(tiny_loader)


@contextmanager
def hurried(
    folder: Path, *arguments: str, run: str = "serve_hurried", **options: Any
) -> Iterator[tuple[Popen[str], str, str]]:
    """A server process in a hurry, as ``serving`` gives one."""
    with serving(folder, *arguments, module=__name__, run=run, **options) as found:
        yield found
