"""The tables of a run: in process, under load, at the start, and its targets."""

from collections.abc import Iterator

from benchmarks.compute.rounds import WAYS
from benchmarks.flows.specs import FLOWS, ROWS
from benchmarks.report.markdown import number, table, times
from benchmarks.results import Results
from benchmarks.service.formats import FORMATS
from benchmarks.service.servers import OURS, SERVERS
from benchmarks.service.session import SCENARIOS
from benchmarks.service.startup import ECHO_START, FROM_KERAS, FROM_PLAN, TENSORFLOW
from benchmarks.targets import HELD, P50, P99, RATE, SECONDS, TARGETS, form_of, ratio

__all__ = ["compute_table", "report", "service_table", "start_table", "target_table"]

IN_PROCESS = """# In process

Milliseconds of the plan, and how many times as long the others take for the same rows. Noise: CPUs that other processes used
while plan or floor were timed, in the worst round."""
UNDER_LOAD = """# Under load

Load rNcM: N rows a request, M connections. Ours: how many times as good the service is in the same family of formats, by p50
at r1c1 and by requests/s elsewhere; above 1 it is better. Noise: CPUs that others used meanwhile."""
START = """# Start

Memory: private pages of all processes, and the shared ones of the process that has most of them."""
OTHERS = [way.name for way in WAYS if way.name != "plan"]


def report(results: Results) -> str:
    """Return all of a run in Markdown."""
    parts = [
        *([IN_PROCESS, compute_table(results)] if results.timings else []),
        *([UNDER_LOAD, service_table(results)] if results.loads else []),
        *([START, start_table(results)] if results.starts else []),
        "# Targets",
        target_table(results),
        "# Made with",
        "\n".join(f"- {name}: {value}" for name, value in {**results.machine, **results.versions}.items()),
        "\n".join(f"- option {name}: {value}" for name, value in results.options.items()),
        *(f"Left out: {note}." for note in results.notes),
        *(f"WRONG: {error}" for error in results.errors),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def compute_table(results: Results) -> str:
    """Return the time of the plan and how many times as long others take."""
    return table(
        ["flow", "direction", "rows", "plan ms", *OTHERS, "noise"],
        (
            [flow, direction, f"{rows:,}", *compute_cells(results, flow, direction, rows)]
            for flow in FLOWS
            for direction in ("encode", "invert")
            for rows in ROWS
            if results.ms("plan", flow, direction, rows) is not None
        ),
        text_columns=2,
    )


def compute_cells(results: Results, flow: str, direction: str, rows: int) -> list[str]:
    """Return the figures of one line."""
    plan = results.ms("plan", flow, direction, rows)
    others = [ratio(results.ms(way, flow, direction, rows), plan) for way in OTHERS]
    found = [t for t in results.timings if (t.flow, t.direction, t.rows) == (flow, direction, rows)]
    noise = max(timing.foreign_cpus for timing in found if timing.way in {"plan", "floor"})
    return [number(plan), *map(times, others), f"{noise:.2f}"]


def service_table(results: Results) -> str:
    """Return what every server did under every load."""
    head = ["flow", "load", "server", "format", "p50 ms", "p99 ms", "requests/s", "rows/s", "ours", "failed", "noise"]
    return table(head, service_rows(results), text_columns=4)


def service_rows(results: Results) -> Iterator[list[str]]:
    """Yield a line for every load of every server."""
    for flow in FLOWS:
        for scenario in SCENARIOS:
            for server in SERVERS.values():
                for form in server.forms:
                    where = (server.name, flow, form, scenario)
                    if results.load(*where, P50) is not None:
                        yield [flow, scenario, server.name, form, *service_cells(results, *where)]


def service_cells(results: Results, server: str, flow: str, form: str, scenario: str) -> list[str]:
    """Return the figures of one line."""
    figures = [results.load(server, flow, form, scenario, figure) for figure in (P50, P99, RATE)]
    rows = results.load(server, flow, form, scenario, lambda load: load.rows_s)
    own = form_of(OURS, FORMATS[form].family) or ""
    if scenario == "r1c1":
        ours = ratio(figures[0], results.load(OURS, flow, own, scenario, P50))
    else:
        ours = ratio(results.load(OURS, flow, own, scenario, RATE), figures[2])
    same = [
        load
        for load in results.loads
        if (load.server, load.flow, load.form, load.scenario) == (server, flow, form, scenario)
    ]
    failed, noise = sum(load.failed for load in same), max(load.foreign_cpus for load in same)
    return [*map(number, [*figures, rows]), "" if server == OURS else times(ours), str(failed), f"{noise:.2f}"]


def start_table(results: Results) -> str:
    """Return how everything starts."""
    names = [TENSORFLOW, ECHO_START, FROM_KERAS, FROM_PLAN]
    figures = (SECONDS, HELD, lambda start: start.pss_mib, lambda start: start.rss_mib)
    return table(
        ["process", "ready after s", "memory MiB", "PSS MiB", "RSS MiB"],
        ([name, *(number(results.start(name, figure)) for figure in figures)] for name in names),
    )


def target_table(results: Results) -> str:
    """Return every target, the figure, and whether it is met."""
    rows = []
    for target in TARGETS:
        found = target.measure(results)
        sign = "≤" if target.at_most else "≥"
        verdict = "not measured" if found is None else "met" if target.met(found) else "NOT MET"
        rows.append([target.what, f"{sign} {target.limit:g}", number(found), verdict])
    return table(["target", "limit", "found", ""], rows)
