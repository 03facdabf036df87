"""``python -m benchmarks``: measure, and show what was found."""

import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.compute.rounds import run_python, time_ways
from benchmarks.flows.specs import FLOWS, ROOT
from benchmarks.machine import machine, versions
from benchmarks.report.chart import draw
from benchmarks.report.summary import summary
from benchmarks.report.tables import report, target_table
from benchmarks.results import Results, merge, read, write
from benchmarks.service.environments import ensure
from benchmarks.service.requests import wrk_version
from benchmarks.service.rounds import load_servers
from benchmarks.service.servers import CEILING, DEFAULT, OURS, PEERS, SERVERS
from benchmarks.service.session import Effort
from benchmarks.service.startup import start_all

main = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
FOLDER = ROOT / "benchmarks" / "results"
# Servers are ended by their with blocks, also where this process is told to end.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
BEGIN = time.monotonic()
PARTS = ("compute", "start", "service")
BOTH_FLOWS = "small-additive,large-additive"

Quick = Annotated[bool, typer.Option(help="One short round: to see that it works, not for figures.")]
Seconds = Annotated[int, typer.Option(help="Seconds of each load.")]
Rounds = Annotated[int, typer.Option(help="How often everything is measured, in turn.")]
Again = Annotated[bool, typer.Option(help="Measure once more where others used the CPUs meanwhile.")]
Names = Annotated[str, typer.Option(help="Files in benchmarks/results; what the first one measured counts.")]
Name = Annotated[str, typer.Option(help="Name of the files in benchmarks/results.")]


@main.command()
def bench(  # noqa: PLR0913 - options
    *,
    parts: Annotated[str, typer.Option(help="Which of compute, start and service.")] = ",".join(PARTS),
    quick: Quick = False,
    seconds: Seconds = 2,
    rounds: Rounds = 3,
    again: Again = True,
    name: Name = "",
) -> None:
    """Measure the plan in process, the service under load, and its start, each beside what it is compared with."""
    effort, rounds = effort_of(quick, seconds, again), 1 if quick else rounds
    chosen = parts.split(",")
    results = prepare([], parts=parts, seconds=effort.seconds, rounds=rounds)
    run(make_flows(FLOWS))
    if "compute" in chosen:
        run(compute(results, 0.02 if quick else 0.15, rounds))
    if "start" in chosen:
        run(start_all(results, rounds))
    if "service" in chosen:
        run(load_servers(results, [SERVERS[name] for name in DEFAULT], ["small-additive"], effort, rounds))
    finish(results, name or ("quick" if quick else "bench"))


@main.command()
def peers(  # noqa: PLR0913 - options
    *,
    servers: Annotated[str, typer.Option(help=f"Which of {', '.join(PEERS)}; or all.")] = ",".join(PEERS[:3]),
    flows: Annotated[str, typer.Option(help=f"Which of {', '.join(FLOWS)}.")] = BOTH_FLOWS,
    quick: Quick = False,
    seconds: Seconds = 2,
    rounds: Rounds = 3,
    again: Again = True,
    name: Name = "",
) -> None:
    """Put the service, the ceiling and other model servers under the same loads, in turn."""
    effort, rounds = effort_of(quick, seconds, again), 1 if quick else rounds
    kinds = [SERVERS[name] for name in (OURS, CEILING, *(PEERS if servers == "all" else servers.split(",")))]
    environments = [kind.environment for kind in kinds if kind.environment]
    run(make_environments(environments))
    results = prepare(environments, servers=servers, flows=flows, seconds=effort.seconds, rounds=rounds)
    run(make_flows(flows.split(",")))
    run(load_servers(results, kinds, flows.split(","), effort, rounds))
    finish(results, name or ("quick-peers" if quick else "peers"))


@main.command()
def table(
    names: Names = "peers,bench",
) -> None:
    """Print the README's table from the results that were kept."""
    typer.echo(summary(kept(names)))


@main.command()
def targets(names: Names = "peers,bench") -> None:
    """Print every target, met or not, from the results that were kept."""
    typer.echo(target_table(kept(names)))


@main.command()
def chart(
    names: Names = "peers,bench",
    to: Annotated[Path, typer.Option(help="An .svg or .png file.")] = FOLDER / "chart.svg",
) -> None:
    """Draw the README's chart from the results that were kept."""
    draw(kept(names), to)


def effort_of(quick: bool, seconds: int, again: bool) -> Effort:
    """Return how long to measure."""
    effort = Effort(seconds=seconds, max_seconds=4 * seconds, again=again)
    return replace(effort, seconds=1, max_seconds=1, again=False) if quick else effort


def prepare(environments: Sequence[str], **options: Any) -> Results:
    """Return results without figures yet, unless something is missing."""
    if wrk_version() is None:
        sys.exit("wrk, which puts servers under load, is not installed. Install it: apt-get install wrk")
    return Results(machine(), versions(environments), options)


def make_flows(names: Sequence[str] | Any) -> Iterator[str]:
    """Build the flows, and write their files."""
    run_python("benchmarks.flows.building", *names)
    yield f"built {', '.join(names)}"


def make_environments(names: Sequence[str]) -> Iterator[str]:
    """Make the environments of other servers where they are missing."""
    for name in names:
        ensure(name)
        yield f"the environment of {name} is complete"


def compute(results: Results, seconds: float, rounds: int) -> Iterator[str]:
    """Time the ways of computing; what goes wrong is kept with the results."""
    try:
        for line, timings in time_ways(list(FLOWS), seconds, rounds):
            results.timings += timings
            yield line
    except RuntimeError as error:
        results.errors.append(str(error).replace(str(ROOT), "…"))
        yield results.errors[-1]


def run(lines: Iterator[str]) -> None:
    """Do what yields lines, and print them with the time that passed since the start."""
    for line in lines:
        typer.echo(f"[{time.monotonic() - BEGIN:4.0f} s] {line}")


def finish(results: Results, name: str) -> None:
    """Keep the results, print them, and leave with code 1 where something was wrong."""
    write(results, FOLDER / f"{name}.json")
    text = report(results)
    (FOLDER / f"{name}.md").write_text(text, encoding="utf-8")
    typer.echo(f"\n{text}")
    if results.errors:
        raise typer.Exit(1)


def kept(names: str) -> Results:
    """Read results; where two files measured the same server with the same flow, the first one counts."""
    found = [read(path) for name in names.split(",") if (path := FOLDER / f"{name}.json").is_file()]
    if not found:
        sys.exit(f"benchmarks/results must hold one of {names} as .json, and does not. Make it: make bench")
    return merge(*found)


if __name__ == "__main__":
    main()
