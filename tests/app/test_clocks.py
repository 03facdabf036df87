"""The wall clock may jump: nothing is decided by it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WALL_CLOCKS = {
    ("time", "time"),
    ("time", "time_ns"),
    ("time", "localtime"),
    ("time", "gmtime"),
    ("time", "ctime"),
    ("datetime", "now"),
    ("datetime", "utcnow"),
    ("datetime", "today"),
    ("date", "today"),
}
SHOWN_ALONE = {
    "app/api/access.py": "the stamp of a line in the log",
    "app/api/v2/statistics.py": "the time of the last inference, as the protocol shows it",
    "app/logs/formats.py": "a stamp as text",
}
"""Files that may read it, and what for."""


def reads(source: str) -> Iterator[int]:
    """Yield the lines that read a wall clock, or take such a function by its name."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute):
            owner = node.value.attr if isinstance(node.value, ast.Attribute) else getattr(node.value, "id", "")
            if (owner, node.attr) in WALL_CLOCKS:
                yield node.lineno
        elif isinstance(node, ast.ImportFrom) and any((node.module, name.name) in WALL_CLOCKS for name in node.names):
            yield node.lineno


def test_no_decision_reads_the_wall_clock() -> None:
    """Outside what shows a date, no file of the service reads a clock that can be set: deadlines can't jump with it."""
    found = {str(path.relative_to(ROOT)) for path in sorted((ROOT / "app").rglob("*.py")) if [*reads(path.read_text())]}
    assert found == set(SHOWN_ALONE)


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("import time\ntime.time()", [2]),
        ("from time import time_ns", [1]),
        ("import datetime\ndatetime.datetime.now()", [2]),
        ("from datetime import datetime\nclock = datetime.utcnow", [2]),
        ("import time\ntime.monotonic()\ntime.perf_counter()", []),
    ],
)
def test_the_search_finds_them(source: str, lines: list[int]) -> None:
    """Clocks are found whichever way they are named, and those that never jump are none."""
    assert [*reads(source)] == lines
