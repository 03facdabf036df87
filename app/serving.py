"""Serving an application by one process, from its port to its end."""

import os
import signal
import socket
import sys
import threading
from typing import Any, NoReturn

import uvicorn

from app.http import HTTP
from app.lifecycle import Lifecycle
from app.listener import BACKLOG
from app.server import PortServer
from app.settings import Settings

OWN_THREADS = "gyoza-"
"""What the names of all threads begin with that are started here."""


def open_port(settings: Settings) -> socket.socket:
    """Open the port.

    Raises:
        OSError: It can't be had.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    return socket.create_server((settings.host, settings.port), family=family, backlog=BACKLOG)


def url_of(settings: Settings, listener: socket.socket) -> str:
    """Return the address to look at, one that this machine itself reaches."""
    host, scheme = settings.host, "https" if settings.tls_certificate else "http"
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"{scheme}://{shown}:{listener.getsockname()[1]}"


def run(app: Any, settings: Settings, port: socket.socket, lifecycle: Lifecycle) -> NoReturn:
    """Serve until a signal asks to stop, then end the process: with 0, or with 1 if a request was cut.

    Args:
        app: The application, which knows the lifecycle too.
        settings: How to serve.
        port: The socket that listens.
        lifecycle: Kept up to date.
    """
    leave_at_signals()  # Those that come before the server hears them, or after.
    port.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # Every connection inherits it.
    server = PortServer(configuration(app, settings), settings, lifecycle, port)
    server.run()
    leave(server.code)


def leave_at_signals() -> None:
    """End the process with 0 where a signal asks for it: a container's first process would not be ended by the system."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: leave())


def configuration(app: Any, settings: Settings) -> uvicorn.Config:
    """Return how the server does what it does."""
    return uvicorn.Config(
        app,
        http=HTTP,
        log_config=None,
        access_log=False,
        server_header=False,
        ssl_certfile=settings.tls_certificate,
        ssl_keyfile=settings.tls_key,
    )


def leave(code: int = 0) -> NoReturn:
    """End the process, whatever signals still come: Python gives their handlers up before it has ended."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    sys.stdout.flush()
    if any(thread.name.startswith(OWN_THREADS) for thread in threading.enumerate()):
        # A load runs, or a pass that nobody waits for: taking the interpreter apart around it would wait, or abort.
        os._exit(code)
    sys.exit(code)
