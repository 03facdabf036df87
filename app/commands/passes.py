"""Files of rows, put through a flow some rows at a time."""

import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import typer
from numpy.typing import NDArray

from app.commands.work import Work
from app.tensors import ROWS_NAMED
from app.threads import limit_blas, usable_cores
from gyoza.inference.plan import Floats
from gyoza.rows import RowsFile, writing_rows

__all__ = ["Files", "convert"]

CHUNK_NUMBERS = 2**16
"""Of a pass: as many rows as have so many entries, 2,048 of the bundled model's.

Passes of 1,000 to 4,000 of its rows are quickest: NumPy's own time for each step is spread over many of them, and their
arrays stay in the caches of the processor, which those of 8,000 rows do not.
"""
SMALLEST_CHUNK = 16
"""Rows of a pass, however large they are."""

Result = TypeVar("Result")


@dataclass(frozen=True)
class Files:
    """Where rows come from and go to."""

    source: Path
    target: Path
    force: bool
    quiet: bool


@dataclass(frozen=True, eq=False)
class Chunk:
    """Some rows of a file."""

    start: int
    """The first one's number in the file."""
    arrays: Mapping[str, NDArray[Any]]


def convert(source: RowsFile, files: Files, work: Work, dtype: np.dtype[Any], metadata: Mapping[str, str]) -> None:
    """Put all rows through the flow, chunk by chunk, as many at a time as there are cores."""
    count = min(len(source.arrays[name]) for name in work.inputs)
    chunk = max(SMALLEST_CHUNK, CHUNK_NUMBERS // max(1, sum(map(prod, work.inputs.values()))))
    shapes = {name: (count, *shape) for name, shape in work.outputs.items()}

    def compute(chunk: Chunk) -> Mapping[str, Floats]:
        results = work.function(
            {name: finite_input(rows, name, source, chunk, dtype) for name, rows in chunk.arrays.items()}
        )
        for name, rows in results.items():
            check_finite(f"{name} must come out finite in {dtype}; scale them down or leave out", rows, chunk.start)
        return results

    limit_blas(os.environ)
    with (
        writing_rows(files.target, shapes, dtype, work.alone, metadata) as target,
        progress(count, quiet=files.quiet or count <= chunk) as advance,
    ):
        for results in in_order(compute, chunks_of(source, work.inputs, count, chunk), usable_cores()):
            target.write(results)
            advance(len(next(iter(results.values()))))


def chunks_of(source: RowsFile, names: Iterable[str], count: int, size: int) -> Iterator[Chunk]:
    """Read rows chunk by chunk."""
    for start in range(0, count, size):
        yield Chunk(start, {name: source.read(name, start, min(start + size, count)) for name in names})


def in_order(function: Callable[[Chunk], Result], chunks: Iterable[Chunk], threads: int) -> Iterator[Result]:
    """Yield what a function makes of each chunk, in their order; no more of them wait than there are threads."""
    with ThreadPoolExecutor(threads) as pool:
        begun: deque[Future[Result]] = deque()
        for chunk in chunks:
            begun.append(pool.submit(function, chunk))
            if len(begun) > threads:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()


def finite_input(rows: NDArray[Any], name: str, source: RowsFile, chunk: Chunk, dtype: np.dtype[Any]) -> Floats:
    """Return rows in the flow's dtype, all of them finite."""
    with np.errstate(over="ignore"):
        cast: Floats = rows.astype(dtype, copy=False)
    check_finite(f"{name} in {source.path} must be finite in {dtype}; mend or leave out", cast, chunk.start)
    return cast


def check_finite(rule: str, rows: Floats, start: int) -> None:
    """Refuse rows [n, …] that are not finite, of which the first is the file's row ``start``."""
    finite = np.isfinite(rows)
    if finite.all():
        return
    wrong = start + np.flatnonzero(~finite.reshape(len(rows), -1).all(axis=1))
    named = ", ".join(map(str, wrong[:ROWS_NAMED])) + (", …" if wrong.size > ROWS_NAMED else "")
    raise ValueError(f"{rule} these rows, counted from 0 (later ones were not looked at): {named}. Nothing was written")


@contextmanager
def progress(count: int, *, quiet: bool) -> Iterator[Callable[[int], None]]:
    """Show how many rows are done, on a terminal only: -> what is told of those that are."""
    if quiet or not sys.stderr.isatty():
        yield lambda _: None
        return
    with typer.progressbar(length=count, label="rows", show_pos=True, file=sys.stderr) as bar:
        yield bar.update
