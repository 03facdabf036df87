"""Servers whose system holds little of what goes out, as where thousands of connections share its memory."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen
from typing import Any

from app.commands import serve
from app.serving import open_port
from app.settings import Settings
from tests.app.servers import serving
from tests.app.worlds import serve_tiny

HELD = 2**15
"""Bytes, of which the system makes some more."""


def open_narrow_port(settings: Settings) -> socket.socket:
    """Open a port whose connections hold little."""
    port = open_port(settings)
    port.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, HELD)
    return port


def serve_narrow(arguments: list[str]) -> None:
    """Run the command line as users do, but with the tiny loader and a narrow port."""
    vars(serve).update(open_port=open_narrow_port)
    serve_tiny(arguments)


@contextmanager
def narrow(folder: Path, *arguments: str, **options: Any) -> Iterator[tuple[Popen[str], str, str]]:
    """A server process with a narrow port, as ``serving`` gives one."""
    with serving(folder, *arguments, module=__name__, run="serve_narrow", **options) as found:
        yield found
