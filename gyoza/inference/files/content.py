"""A file's bytes, read once: what is digested is what is used, whatever becomes of the file meanwhile.

Nothing here is mapped into memory: who cuts a mapped file short ends the process that reads on.

Symbolic links are followed wherever they lead. Kubernetes mounts volumes through them, and stores of models keep the bytes
elsewhere; what they lead to is read as one of the formats known here or refused. Neither it nor its digest is sent to
anybody, unless it is such a format and all that is expected of it was met.
"""

import hashlib
import os
import stat
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

__all__ = ["LARGEST_FILE", "Content", "open_regular", "read_content"]

LARGEST_FILE = 8 * 2**30
"""Bytes of a file of weights: two billion numbers, which is far beyond what a flow needs."""


@dataclass(frozen=True, eq=False)
class Content:
    """All bytes of a file at one time."""

    data: bytes
    digest: str
    """Their SHA-256 in hexadecimal."""


def read_content(path: Path, largest: int = LARGEST_FILE) -> Content:
    """Read a file.

    Args:
        path: The file, or a link to it.
        largest: The most bytes that it may have.

    Returns:
        Its bytes.

    Raises:
        OSError: It can't be read.
        ValueError: It is no regular file, or larger.
    """
    with open_regular(path, largest) as file:
        data = file.read(os.fstat(file.fileno()).st_size)
    return Content(data, hashlib.sha256(data).hexdigest())


def open_regular(path: Path, largest: int = LARGEST_FILE) -> BufferedReader:
    """Open a file to read it; for arguments and errors see ``read_content``. A pipe is refused and never waited for."""
    file = open(path, "rb", opener=without_waiting)  # noqa: SIM115 - the caller closes it.
    status = os.fstat(file.fileno())
    if stat.S_ISREG(status.st_mode) and status.st_size <= largest:
        return file
    file.close()
    received = f"{status.st_size:,} bytes" if stat.S_ISREG(status.st_mode) else "a pipe, a device or the like"
    raise ValueError(f"it must be a file of at most {largest:,} bytes. Received: {received}")


def without_waiting(path: str, flags: int) -> int:
    """Open a file descriptor; that of a pipe at once, too, whether somebody writes to it or not."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
