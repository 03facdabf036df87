"""Sheets of several processes: each writes its own and reads the others'.

A file of a sheet holds records one after the other, each a head (the length of a key, the count of its numbers), the key as JSON, and
the numbers (float64), at multiples of 8 bytes. Nothing in it moves, and a record's head is written last: whoever reads sees
whole records, and a process that dies at any moment leaves a file with which the next one can go on.
"""

import mmap
import os
import struct
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import IO

import orjson

from app.metrics.sheet import Key, Numbers, Place, Sheet

HEAD = struct.Struct("@Q")
"""The count in the upper half, the length in the lower one: written by one instruction, it is there as a whole or not at all."""
HALF = 32
FIRST_SIZE = 2**16


@contextmanager
def sheet_files(count: int) -> Iterator[tuple[int, ...]]:
    """Open files for so many sheets, which no folder shows and which are gone with the last process that has them open.

    Yields:
        File descriptors, to be handed to processes.
    """
    with ExitStack() as files:
        yield tuple(files.enter_context(new_file()).fileno() for _ in range(count))


def new_file() -> IO[bytes]:
    """Open a new file: in memory where the system can do that, since writing to a disk may have to wait for it."""
    in_memory = hasattr(os, "memfd_create")
    return os.fdopen(os.memfd_create("gyoza-metrics"), "w+b") if in_memory else tempfile.TemporaryFile()


class SharedSheet(Sheet):
    """A sheet in a file; what another process wrote there is taken over.

    Args:
        file: Its file descriptor.
    """

    def __init__(self, file: int) -> None:
        """Go on where the file ends."""
        super().__init__()
        self._file = file
        self._map = self._mapped(FIRST_SIZE)
        self._end = 0
        for key, start, count in records(self._map):
            self._places[key] = self._numbers(start, count)
            self._end = start + 8 * count

    def _make(self, key: Key, count: int) -> Place:
        text = orjson.dumps(key)
        start = self._end + HEAD.size + padded(len(text))
        end = start + 8 * count
        if end + HEAD.size > len(self._map):
            self._map = self._mapped(2 * end)
        self._map[self._end + HEAD.size : self._end + HEAD.size + len(text)] = text
        HEAD.pack_into(self._map, self._end, count << HALF | len(text))
        self._end = end
        return self._numbers(start, count)

    def _mapped(self, size: int) -> mmap.mmap:
        """Map the file, at least of this size; numbers in a former map stay where they are, which is the same file."""
        known = os.fstat(self._file).st_size
        if known < size:
            # Written, not only declared: where there is no room for it, that is an error here and not a signal later.
            os.pwrite(self._file, bytes(size - known), known)
        return mmap.mmap(self._file, max(known, size))

    def _numbers(self, start: int, count: int) -> Place:
        return memoryview(self._map)[start : start + 8 * count].cast("d")


def read_sheet(file: int) -> list[tuple[Key, Numbers]]:
    """Return the numbers of another process's sheet as they are now."""
    content = os.pread(file, os.fstat(file).st_size, 0)
    return [(key, struct.unpack_from(f"={count}d", content, start)) for key, start, count in records(content)]


def records(content: bytes | mmap.mmap) -> Iterator[tuple[Key, int, int]]:
    """Yield the key of each record, where its numbers begin, and how many there are."""
    start = 0
    while start + HEAD.size <= len(content):
        (head,) = HEAD.unpack_from(content, start)
        count, length = divmod(head, 1 << HALF)
        if not length:
            return
        start += HEAD.size
        key = tuple(orjson.loads(content[start : start + length]))
        start += padded(length)
        yield key, start, count
        start += 8 * count


def padded(length: int) -> int:
    """Return the next multiple of 8."""
    return -(-length // 8) * 8
