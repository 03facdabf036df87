"""Tables in Markdown, and numbers as people read them."""

from collections.abc import Iterable, Sequence
from itertools import zip_longest

__all__ = ["number", "table", "times"]

DASH = "–"


def number(value: float | None) -> str:
    """Write a number with about three digits; a dash for what was not measured."""
    if value is None:
        return DASH
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"


def times(value: float | None) -> str:
    """Write a ratio."""
    return DASH if value is None else f"{number(value)}×"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], text_columns: int = 1) -> str:
    """Return a table in Markdown, aligned for those who read it as it stands; columns after the first ones are numbers."""
    lines = [list(head), *map(list, rows)]
    widths = [max(map(len, column)) for column in zip_longest(*lines, fillvalue="")]
    rule = ["-" * width if place < text_columns else "-" * (width - 1) + ":" for place, width in enumerate(widths)]

    def written(cells: Sequence[str]) -> str:
        padded = [
            cell.ljust(width) if place < text_columns else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return f"| {' | '.join(padded)} |"

    return "\n".join(map(written, [lines[0], rule, *lines[1:]]))
