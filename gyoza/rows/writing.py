"""Writing rows of arrays to files that are larger than memory."""

import io
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from gyoza.inference.files.writing import replacing
from gyoza.rows.reading import DTYPES, LENGTH_BYTES, NPY, check_suffix

__all__ = ["RowsWriter", "writing_rows"]

NAMES = {dtype: name for name, dtype in DTYPES.items()}


class RowsWriter:
    """A file of arrays whose rows are written one after the other.

    Args:
        file: The file, its header written.
        offsets: Where in it each array begins, by name.
        dtype: What all of them are written in.
    """

    def __init__(self, file: BinaryIO, offsets: Mapping[str, int], dtype: np.dtype[Any]) -> None:
        """Begin with the first row."""
        self._file = file
        self._ends = dict(offsets)
        self._dtype = dtype

    def write(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Write the next rows of some of the arrays.

        Args:
            arrays: By name, [rows, …]; those that the file does not hold are left aside.

        Raises:
            OSError: There is no room for them.
        """
        for name, end in self._ends.items():
            rows = np.ascontiguousarray(arrays[name], self._dtype)
            self._file.seek(end)
            self._file.write(rows.data.cast("B"))
            self._ends[name] = end + rows.nbytes


@contextmanager
def writing_rows(
    path: Path,
    shapes: Mapping[str, tuple[int, ...]],
    dtype: np.dtype[Any],
    alone: str,
    metadata: Mapping[str, str] | None = None,
) -> Iterator[RowsWriter]:
    """Write a file of arrays, which takes its place at the end, whole; nothing is left of it where an error is raised.

    Args:
        path: A ``.npy`` or ``.safetensors`` file. One that is there is replaced.
        shapes: The arrays' names and shapes [n, …].
        dtype: A float dtype.
        alone: The one array that a ``.npy`` file gets.
        metadata: Texts by name, which a safetensors file gets beside all arrays.

    Yields:
        What takes the rows.

    Raises:
        ValueError: The path has another ending.
        OSError: The file can't be written.

    Example:
        >>> import pathlib, tempfile
        >>> import numpy as np
        >>> from gyoza.rows import writing_rows
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder) / "codes.npy"
        ...     with writing_rows(path, {"codes": (4, 2)}, np.dtype("float32"), "codes") as file:
        ...         file.write({"codes": np.zeros((3, 2))})
        ...         file.write({"codes": np.ones((1, 2))})
        ...     np.load(path).sum(axis=1).tolist()
        [0.0, 0.0, 0.0, 2.0]
    """
    check_suffix(path)
    stored = np.dtype(dtype).newbyteorder("<")
    if path.suffix == NPY:
        header, offsets = npy_header(shapes[alone], stored, alone)
    else:
        header, offsets = safetensors_header(shapes, stored, metadata or {})
    with replacing(path) as part, part.open("xb") as file:
        file.write(header)
        yield RowsWriter(file, offsets, stored)
        file.flush()
        os.fsync(file.fileno())


def npy_header(shape: tuple[int, ...], dtype: np.dtype[Any], name: str) -> tuple[bytes, dict[str, int]]:
    """Return what a ``.npy`` file begins with, and where its array does."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": dtype.str, "fortran_order": False, "shape": shape})
    header = file.getvalue()
    return header, {name: len(header)}


def safetensors_header(
    shapes: Mapping[str, tuple[int, ...]], dtype: np.dtype[Any], metadata: Mapping[str, str]
) -> tuple[bytes, dict[str, int]]:
    """Return what a safetensors file begins with, and where each of its arrays does."""
    entries: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    offsets, end = {}, 0
    for name, shape in shapes.items():
        offsets[name], end = end, end + prod(shape) * dtype.itemsize
        entries[name] = {"dtype": NAMES[dtype], "shape": shape, "data_offsets": [offsets[name], end]}
    text = json.dumps(entries).encode()
    # The arrays begin aligned for the largest dtype, so that readers need not copy them.
    text += b" " * (-len(text) % LENGTH_BYTES)
    header = len(text).to_bytes(LENGTH_BYTES, "little") + text
    return header, {name: len(header) + offset for name, offset in offsets.items()}
