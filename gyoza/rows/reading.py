"""Reading rows of arrays from files that are larger than memory."""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from gyoza.data.files import mapped
from gyoza.inference.files.content import open_regular

__all__ = ["SUFFIXES", "RowsFile", "StoredRows", "check_suffix", "open_rows"]

NPY, SAFETENSORS = SUFFIXES = (".npy", ".safetensors")
LENGTH_BYTES = 8
DTYPES: Mapping[str, np.dtype[Any]] = {
    **{f"F{8 * size}": np.dtype(f"<f{size}") for size in (2, 4, 8)},
    **{f"{sign}{8 * size}": np.dtype(f"<{sign.lower()}{size}") for sign in "IU" for size in (1, 2, 4, 8)},
}
"""Those of a safetensors file that are real numbers and that NumPy has."""


@dataclass(frozen=True)
class StoredRows:
    """Where an array [n, …] of real numbers lies in a file."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    offset: int
    """Of its first byte in the file."""
    in_columns: bool = False
    """Whether it lies in Fortran's order, the first axis fastest."""

    def __len__(self) -> int:
        """How many rows there are."""
        return self.shape[0]

    @property
    def row_shape(self) -> tuple[int, ...]:
        """The shape of one row."""
        return self.shape[1:]


class RowsFile:
    """An open file of arrays, each of which has rows along its first axis.

    Args:
        path: The file's path, for messages.
        file: The file.
        arrays: What lies in it, by name.
    """

    def __init__(self, path: Path, file: BufferedReader, arrays: Mapping[str, StoredRows]) -> None:
        """Keep the open file."""
        self.path = path
        self.arrays = arrays
        self._file = file

    def read(self, name: str, start: int, stop: int) -> NDArray[Any]:
        """Read rows of an array.

        Args:
            name: The array's.
            start: The first row.
            stop: The row behind the last one, at most as many as there are.

        Returns:
            [stop - start, …] in the file's dtype, an array of the caller's own.

        Raises:
            ValueError: The file ends too early: somebody cut it short.
            OSError: It can't be read.
        """
        array, count = self.arrays[name], stop - start
        width = prod(array.row_shape)
        if not array.in_columns:
            rows = self._numbers(array, start * width, count * width)
            return rows.reshape(count, *array.row_shape)
        columns = [self._numbers(array, column * len(array) + start, count) for column in range(width)]
        return np.array(columns).T.reshape(count, *array.row_shape, order="F")

    def _numbers(self, array: StoredRows, first: int, count: int) -> NDArray[Any]:
        """Read numbers that lie side by side."""
        numbers = np.empty(count, array.dtype)
        self._file.seek(array.offset + first * array.dtype.itemsize)
        if self._file.readinto(numbers.data.cast("B")) != numbers.nbytes:
            raise ValueError(
                f"{self.path} must stay as it is while it is read; read it again. Received: too few bytes, it was cut short"
            )
        return numbers


@contextmanager
def open_rows(path: Path, alone: str) -> Iterator[RowsFile]:
    """Open a file of arrays to read their rows.

    Args:
        path: A ``.npy`` or ``.safetensors`` file.
        alone: What the one array of a ``.npy`` file is called.

    Yields:
        The file, of which the headers were read and no row yet.

    Raises:
        ValueError: It has another ending, is damaged or no regular file, or the array of a ``.npy`` file holds no real
            numbers or has no rows. Of a safetensors file the arrays are left out of which that is so.
        OSError: It can't be read.

    Example:
        >>> import pathlib, tempfile
        >>> import numpy as np
        >>> from gyoza.rows import open_rows
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder) / "latents.npy"
        ...     np.save(path, np.arange(6.0).reshape(3, 2))
        ...     with open_rows(path, "latents") as file:
        ...         file.read("latents", 1, 3).tolist()
        [[2.0, 3.0], [4.0, 5.0]]
    """
    check_suffix(path)
    with opened(path) as file:
        arrays = {alone: of_npy(path)} if path.suffix == NPY else dict(of_safetensors(path, file))
        yield RowsFile(path, file, arrays)


def check_suffix(path: Path) -> None:
    """Refuse a path that is of none of the formats."""
    if path.suffix not in SUFFIXES:
        raise ValueError(f"{path} must end in {' or '.join(SUFFIXES)}; choose one of them. Received: {path.suffix!r}")


def opened(path: Path) -> BufferedReader:
    """Open a file, or say that it is none."""
    try:
        return open_regular(path, sys.maxsize)
    except ValueError as error:
        raise ValueError(f"{path} can't be read: {error}") from error


def of_npy(path: Path) -> StoredRows:
    """Return where the array of a ``.npy`` file lies."""
    array = mapped(path)
    if array.dtype.kind not in "fiu" or array.ndim < 1:
        raise ValueError(
            f"{path} must hold real numbers, with an axis for the rows; convert it, such as by array.astype('float32'). "
            f"Received: {array.dtype} of the shape {list(array.shape)}"
        )
    return StoredRows(array.dtype, array.shape, array.offset, array.ndim > 1 and not array.flags.c_contiguous)


def of_safetensors(path: Path, file: BufferedReader) -> Iterator[tuple[str, StoredRows]]:
    """Yield the names and places of the arrays of a safetensors file that have rows of real numbers."""
    try:
        # The library makes sure that each array lies within the file and has the size that its shape says.
        with safe_open(path, framework="numpy"):
            start = LENGTH_BYTES + int.from_bytes(file.read(LENGTH_BYTES), "little")
            header = json.loads(file.read(start - LENGTH_BYTES))
    except (SafetensorError, ValueError, RecursionError) as error:
        raise ValueError(
            f"{path} must be a whole safetensors file; write it again. It can't be read: {error}"
        ) from error
    for name, entry in header.items():
        if name != "__metadata__" and entry["dtype"] in DTYPES and entry["shape"]:
            yield name, StoredRows(DTYPES[entry["dtype"]], tuple(entry["shape"]), start + entry["data_offsets"][0])
