"""Serving an application by one process, from its port to its end."""

import os
import signal
import socket
import sys
import threading
from typing import Any, NoReturn

import uvicorn

from app.http import HTTP
from app.repository import LOADING
from app.settings import Settings

BACKLOG = 2048


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


def run(app: Any, settings: Settings, listener: socket.socket) -> None:
    """Serve until a signal asks to stop, then end with the code 0."""
    # uvicorn raises the signal again when it has stopped: this turns it into an ordinary end.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: leave())
    uvicorn.Server(configuration(app, settings)).run(sockets=[listener])


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
        timeout_graceful_shutdown=grace_s(settings),
    )


def grace_s(settings: Settings) -> int:
    """Return the seconds that requests have to end once a signal asked to stop."""
    return int(settings.request_timeout_s) + 1


def leave() -> NoReturn:
    """End the process with the code 0."""
    sys.stdout.flush()
    if any(thread.name == LOADING for thread in threading.enumerate()):
        # Keras is being imported or is at work: taking the interpreter apart around it would abort the process.
        os._exit(0)
    sys.exit(0)
