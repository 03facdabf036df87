"""What a run found, each figure of each round, and the file that keeps it."""

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

__all__ = ["Load", "Results", "Start", "Timing", "merge", "middle", "read", "write"]


@dataclass(frozen=True)
class Timing:
    """How long one way of computing took in process, the median of one round."""

    way: str
    flow: str
    direction: str
    """``encode`` or ``invert``."""
    rows: int
    ms: float
    foreign_cpus: float
    """CPUs that other processes used meanwhile: the noise."""


@dataclass(frozen=True)
class Load:
    """What one server did under one load in one round."""

    server: str
    flow: str
    form: str
    """The wire format, a key of ``benchmarks.service.formats.FORMATS``."""
    scenario: str
    requests_s: float
    """Answers of status 200 a second."""
    rows_s: float
    p50_ms: float
    p99_ms: float
    failed: int
    """Other statuses, broken connections and time-outs."""
    server_cpus: float
    foreign_cpus: float
    """CPUs that neither the server nor the load used meanwhile: likewise."""


@dataclass(frozen=True)
class Start:
    """How long a process took from its start until it was ready, and what it then held."""

    what: str
    seconds: float
    held_mib: float
    """As are the next: see ``benchmarks.service.processes.Memory``."""
    pss_mib: float
    rss_mib: float


@dataclass
class Results:
    """All of one run."""

    machine: dict[str, str]
    versions: dict[str, str]
    options: dict[str, Any]
    timings: list[Timing] = field(default_factory=list)
    loads: list[Load] = field(default_factory=list)
    starts: list[Start] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What was left out, and why."""
    errors: list[str] = field(default_factory=list)
    """What went wrong; a run with any has failed."""

    def ms(self, way: str, flow: str, direction: str, rows: int) -> float | None:
        """Return the median time of a call over the rounds, in milliseconds; None where it was not measured."""
        wanted = (way, flow, direction, rows)
        return middle(t.ms for t in self.timings if (t.way, t.flow, t.direction, t.rows) == wanted)

    def load(self, server: str, flow: str, form: str, scenario: str, figure: Callable[[Load], float]) -> float | None:
        """Return the median of one figure of a load over the rounds; None where it was not measured."""
        wanted = (server, flow, form, scenario)
        return middle(
            figure(item) for item in self.loads if (item.server, item.flow, item.form, item.scenario) == wanted
        )

    def start(self, what: str, figure: Callable[[Start], float]) -> float | None:
        """Return the median of one figure of a start over the rounds; None where it was not measured."""
        return middle(figure(item) for item in self.starts if item.what == what)


def middle(values: Iterable[float]) -> float | None:
    """Return the median, or None of nothing."""
    found = list(values)
    return median(found) if found else None


def merge(first: Results, *others: Results) -> Results:
    """Return what several runs found; where two put the same server with the same flow under load, the first one counts.

    So a figure is only ever divided by one of the same run, unless the first run left out what the second one has.
    """
    merged = replace(first, timings=[*first.timings], loads=[*first.loads], starts=[*first.starts])
    for other in others:
        known = {(load.server, load.flow) for load in merged.loads}
        merged.loads += [load for load in other.loads if (load.server, load.flow) not in known]
        merged.timings += other.timings
        merged.starts += other.starts
    return merged


def write(results: Results, path: Path) -> None:
    """Keep a run as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(results), indent=1) + "\n", encoding="utf-8")


def read(path: Path) -> Results:
    """Read a run that was kept."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    for name, kind in {"timings": Timing, "loads": Load, "starts": Start}.items():
        found[name] = [kind(**values) for values in found[name]]
    return Results(**found)
