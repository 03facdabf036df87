"""The table for the README: one line for each server, small enough to be read at a glance."""

from benchmarks.report.markdown import number, table
from benchmarks.results import Results
from benchmarks.service.servers import ECHO, SERVERS
from benchmarks.targets import P50, RATE

__all__ = ["HEADLINES", "summary"]

HEADLINES = (
    ("r1c1", P50, "1 row, 1 client: p50 ms"),
    ("r1c16", RATE, "1 row, 16 clients: requests/s"),
    ("r64c4", lambda load: load.rows_s, "64 rows, 4 clients: rows/s"),
    ("r1024c2", lambda load: load.rows_s, "1,024 rows, 2 clients: rows/s"),
)


def summary(results: Results, flow: str = "small-additive") -> str:
    """Return what every server did with one flow."""
    rows = []
    for server in SERVERS.values():
        for form in server.forms:
            found = [results.load(server.name, flow, form, scenario, figure) for scenario, figure, _ in HEADLINES]
            if server.name != ECHO and any(value is not None for value in found):
                rows.append([f"{server.name}, {form}", *map(number, found)])
    return table(["server, format", *(title for *_, title in HEADLINES)], rows)
