"""Latents and labels from files: arrays that NumPy saved, and tables with commas. No Keras here."""

import csv
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gyoza.factors import RESIDUAL, check_factor_name

__all__ = ["LabelColumn", "mapped", "read_labels", "read_latents"]

MAGIC = b"\x93NUMPY"
DAMAGED = (ValueError, EOFError, OverflowError, TypeError, SyntaxError, TokenError, MemoryError, RecursionError)
"""What NumPy raises for files with wrong headers or too few bytes."""
INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
LONG_INTEGER = re.compile(r"[+-]?[0-9]+")
"""One that an int64 may not hold, such as an identifier."""
PART = re.compile(r"(.+)\.([0-9]+)")
"""A column that is one of several of a factor: ``color.0``."""
Cells: TypeAlias = list[str]


@dataclass(frozen=True, eq=False)
class LabelColumn:
    """What the column, or the columns, of one factor were taken for."""

    values: NDArray[Any]
    """Classes [n], integers or strings; or numbers, float64 [n] or [n, d]."""

    @property
    def is_continuous(self) -> bool:
        """Whether they are numbers, not classes."""
        return self.values.dtype.kind == "f"

    @property
    def is_numeric(self) -> bool:
        """Whether every entry reads as a number, so that it could be either."""
        return self.values.dtype.kind in "if"

    @property
    def distinct(self) -> int:
        """How many different labels there are."""
        return len(np.unique(self.values, axis=0))


def read_latents(path: Path) -> NDArray[Any]:
    """Read an array that ``numpy.save`` wrote.

    Args:
        path: The ``.npy`` file.

    Returns:
        The array.

    Raises:
        OSError: The file can't be read.
        ValueError: It is no such file, or damaged, or holds objects, for which it would have to be unpickled.
    """
    # What is shorter than its header promises is refused before there is memory taken for it.
    return np.array(mapped(path))


def mapped(path: Path) -> "np.memmap[Any, Any]":
    """Map an array that ``numpy.save`` wrote into memory, without reading it; for errors see ``read_latents``."""
    with path.open("rb") as file:
        start = file.read(len(MAGIC))
    if start != MAGIC:
        kinds = {b"PK": "an archive, as of numpy.savez", b"\x80": "a pickle, which is never loaded"}
        kind = next((kind for first, kind in kinds.items() if start.startswith(first)), "something else")
        raise ValueError(f"{path} must be an array saved by numpy.save, a .npy file. Received: {kind}")
    try:
        array: np.memmap[Any, Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except DAMAGED as error:
        raise ValueError(
            f"{path} must hold a whole array of floats, saved by numpy.save. It can't be read: {error}"
        ) from error
    return array


def read_labels(
    path: Path, *, continuous: Collection[str] = (), classes: Collection[str] = ()
) -> dict[str, LabelColumn]:
    """Read the labels of factors from a table with commas (CSV, UTF-8), a column each, named in the first line.

    A column of integers or of text is a factor's classes, a column of other numbers its numbers. Columns ``color.0``,
    ``color.1``, … are one factor ``color`` of several numbers a row. Integers that are amounts, such as an age, must be
    told by ``continuous``. Integers of more digits than an int64 holds are classes too, as text.

    Args:
        path: The file.
        continuous: Factors to take for numbers.
        classes: Factors to take for classes.

    Returns:
        Factor names to labels, in the order of the columns.

    Raises:
        OSError: The file can't be read.
        ValueError: It is no such table, a name is not allowed, a cell is empty, or a column is neither classes nor
            numbers; the message names the line of the file.
    """
    header, lines, rows = read_table(path)
    groups = grouped(header, path)
    wrong = [name for name in [*continuous, *classes] if name not in groups]
    if wrong or set(continuous) & set(classes):
        raise ValueError(
            f"continuous and classes must name factors of {path}, {list(groups)}, each once. "
            f"Received: continuous={list(continuous)}, classes={list(classes)}"
        )
    columns = list(zip(*rows, strict=True))
    found = {}
    for name, places in groups.items():
        told = "numbers" if name in continuous else "classes" if name in classes else None
        cells = [columns[place] for place in places]
        found[name] = LabelColumn(labels_of(Source(path, name, lines), cells, told, parts=header[places[0]] != name))
    return found


@dataclass(frozen=True)
class Source:
    """Where labels come from, for messages."""

    path: Path
    name: str
    lines: Sequence[int]

    def refuse(self, row: int, cell: str, what: str) -> ValueError:
        """Return the error of a cell."""
        return ValueError(f"{self.path}, line {self.lines[row]}: {what}. Received: {self.name}={cell!r}")


def read_table(path: Path) -> tuple[Cells, list[int], list[Cells]]:
    """Return the header, and of each row the line where it ends and its cells; none of them is empty."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            table = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        if isinstance(error, UnicodeDecodeError) and error.object.startswith(MAGIC):
            raise ValueError(
                f"{path} must be a table with commas (CSV) in UTF-8; the two files may be swapped: latents come first, "
                "then labels. Received: an array saved by numpy.save"
            ) from error
        raise ValueError(f"{path} must be a table with commas (CSV) in UTF-8. It can't be read: {error}") from error
    while table and not any(table[-1][1]):
        table.pop()
    if len(table) < 2:
        raise ValueError(
            f"{path} must hold a line with the factors' names and one for each row of the latents. Received: "
            f"{len(table)} lines"
        )
    (_, header), *rows = table
    check_header(path, header)
    for line, row in rows:
        check_row(path, line, row, header)
    return header, [line for line, _ in rows], [row for _, row in rows]


def check_header(path: Path, header: Cells) -> None:
    """Refuse a first line that is parted by something else than commas, or holds numbers where names belong."""
    if len(header) == 1 and (";" in header[0] or "\t" in header[0]):
        raise ValueError(
            f"{path} must have commas between its cells, not semicolons or tabs; save it as CSV with commas. "
            f"Received: {header[0]!r} as the first line"
        )
    numbers = [cell for cell in header if parsed(cell) is not None and any(map(str.isdigit, cell))]
    if numbers:
        raise ValueError(
            f"{path} must hold the factors' names in its first line; add a line with a name for each column. "
            f"Received: {numbers[0]!r} in the first line"
        )


def check_row(path: Path, line: int, row: Cells, header: Cells) -> None:
    """Refuse a row of another length than the header, or with an empty cell."""
    if row and len(row) != len(header):
        raise ValueError(
            f"{path}, line {line}: a row must have {len(header)} cells, as the first line has. Received: {len(row)}"
        )
    if not all(row) or not row:
        name = header[row.index("")] if row else header[0]
        raise ValueError(
            f"{path}, line {line}: every row must have a label of every factor; leave out the rows that have none, in "
            f"the latents too. Received: {name}=''"
        )


def grouped(header: Cells, path: Path) -> dict[str, list[int]]:
    """Return factor names to the places of their columns."""
    groups: dict[str, dict[str, int]] = {}
    for place, column in enumerate(header):
        part = PART.fullmatch(column)
        name, number = (part[1], part[2]) if part else (column, "")
        check_name(name, place, path)
        columns = groups.setdefault(name, {})
        if number in columns or (columns and not (number and all(columns))):
            raise ValueError(f"{path} must name every factor once. Received: {header}")
        columns[number] = place
    for name, columns in groups.items():
        if set(columns) not in ({""}, {str(number) for number in range(len(columns))}):
            raise ValueError(
                f"{path} must number the columns of {name!r} from 0 on: {name}.0, {name}.1, … "
                f"Received: {[header[place] for place in columns.values()]}"
            )
    return {
        name: [columns[key] for key in sorted(columns, key=lambda key: int(key or 0))]
        for name, columns in groups.items()
    }


def check_name(name: str, place: int, path: Path) -> None:
    """Refuse a name that no factor may have."""
    if not name:
        raise ValueError(
            f"{path} must have a name for every column in its first line; pandas leaves out that of the index unless told "
            f"to_csv(index=False). Received: no name for column {place + 1}"
        )
    if name == RESIDUAL:
        raise ValueError(f"{path} must leave out {RESIDUAL!r}, which is what no label tells. Received: it is a column")
    try:
        check_factor_name(name)
    except ValueError as error:
        raise ValueError(f"{path}, line 1, column {place + 1}: {error}") from error


def labels_of(source: Source, columns: Sequence[Sequence[str]], told: str | None, *, parts: bool) -> NDArray[Any]:
    """Return the labels of a factor from the cells of its columns."""
    if parts:
        if told == "classes":
            raise ValueError(
                f"{source.path} must have one column for classes. Received: {source.name} in {len(columns)} columns"
            )
        return np.stack([numbers_of(source, cells) for cells in columns], axis=1)
    (cells,) = columns
    if told == "numbers":
        return numbers_of(source, cells)
    if all(map(INTEGER.fullmatch, cells)):
        return np.array([int(cell) for cell in cells])
    if told == "classes" or all(map(LONG_INTEGER.fullmatch, cells)):
        return np.array(cells)
    return unlike_integers(source, cells)


def unlike_integers(source: Source, cells: Sequence[str]) -> NDArray[Any]:
    """Return a column that is not all integers as numbers or as text, if it is all the one or all the other."""
    texts = [row for row, cell in enumerate(cells) if parsed(cell) is None]
    if not texts:
        return numbers_of(source, cells)
    if len(texts) < len(cells):
        what = f"a column must be all numbers or all text; mend the cell, or say --classes {source.name} if all are classes"
        raise source.refuse(texts[0], cells[texts[0]], what)
    return np.array(cells)


def numbers_of(source: Source, cells: Sequence[str]) -> NDArray[Any]:
    """Return cells as float64 [n], all of them finite."""
    numbers = [parsed(cell) for cell in cells]
    if None in numbers:
        row = numbers.index(None)
        raise source.refuse(row, cells[row], "a factor of numbers must have one in every row")
    values = np.array(numbers, np.float64)
    if not np.isfinite(values).all():
        row = int(np.flatnonzero(~np.isfinite(values))[0])
        raise source.refuse(row, cells[row], "a number must be finite; leave out the rows that have none")
    return values


def parsed(cell: str) -> float | None:
    """Return a cell as a number, or None if it is none; Python's own 1_000 is none."""
    try:
        return None if "_" in cell else float(cell)
    except ValueError:
        return None
