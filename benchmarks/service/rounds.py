"""Put servers under load in turn, each started anew in each round."""

from collections.abc import Iterator, Sequence

from benchmarks.flows.specs import FLOWS
from benchmarks.results import Results
from benchmarks.service.errors import ServerError, Unspoken
from benchmarks.service.servers import ServerKind
from benchmarks.service.session import Effort, Session

__all__ = ["load_servers"]


def load_servers(
    results: Results, kinds: Sequence[ServerKind], flows: Sequence[str], effort: Effort, rounds: int
) -> Iterator[str]:
    """Add to the results what every server does with every flow, and yield a line for each start and each load."""
    for number in range(rounds):
        for flow in flows:
            for kind in (kind for kind in kinds if kind.every_round or number == 0):
                yield f"round {number + 1} of {rounds}: {kind.name} with {flow}"
                yield from load_server(results, kind, flow, effort)


def load_server(results: Results, kind: ServerKind, flow: str, effort: Effort) -> Iterator[str]:
    """Start a server once; what goes wrong is kept with the results and stops none of the others."""
    try:
        with Session(kind, FLOWS[flow], effort) as session:
            for form in kind.forms:
                yield from load_form(results, session, form)
    except (OSError, RuntimeError, ServerError) as error:
        yield keep(results.errors, f"{kind.name} with {flow}: {error}")


def load_form(results: Results, session: Session, form: str) -> Iterator[str]:
    """Measure one wire format."""
    try:
        for load in session.loads(form):
            results.loads.append(load)
            yield (
                f"  {form:12} {load.scenario:8} {load.requests_s:9.1f} requests/s, p50 {load.p50_ms:7.2f} ms, "
                f"p99 {load.p99_ms:7.2f} ms, {load.failed} failed, others used {load.foreign_cpus:.2f} CPUs"
            )
    except Unspoken as missing:
        yield keep(results.notes, f"{form} of {session.kind.name}, since {missing}")


def keep(lines: list[str], line: str) -> str:
    """Keep a line once, and return it."""
    if line not in lines:
        lines.append(line)
    return f"  {line}"
