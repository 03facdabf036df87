"""Tables that read well as plain text and as Markdown."""

from collections.abc import Iterable, Sequence

__all__ = ["markdown"]


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table whose columns are as wide as their longest cell.

    Args:
        header: A heading per column.
        rows: As many cells each. The first column is aligned left, the others right.

    Example:
        >>> print(markdown(["factor", "a"], [["color", "0.98"]]))
        | factor |    a |
        | :----- | ---: |
        | color  | 0.98 |
    """
    body = list(rows)
    widths = [max(3, *map(len, column)) for column in zip(header, *body, strict=True)]
    rule = [":" + "-" * (widths[0] - 1), *("-" * (width - 1) + ":" for width in widths[1:])]
    lines = [[row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])] for row in (header, rule, *body)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
