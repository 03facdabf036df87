"""Servers for faults: with flows that never come back, and in a hurry where a server would be patient."""

from functools import partial
from pathlib import Path

import numpy as np

from app import cli, server
from app.commands import serve
from app.engine import engine
from app.main import create_app
from app.workers import processes, supervise, watch
from app.workers import server as worker_server
from app.workers.worker import work
from gyoza.inference import CompiledFlow, Plan
from gyoza.inference.checks import Golden
from gyoza.inference.plan import Floats, Opaque
from tests.app.worlds import SIZE, TinyFlow, command_of, endless_loader, tiny_loader


def exiting() -> CompiledFlow:
    """A flow that ends the thread that encodes anything but zeros, as no flow may."""

    def encode(rows: Floats) -> tuple[Floats, Floats]:
        if rows.any():
            raise SystemExit("a flow ends its thread")
        return rows, rows[:, 0]

    return CompiledFlow(Plan((Opaque(encode, lambda rows: rows),), (SIZE,), (SIZE,), np.dtype("float32")))


def faulty_loader(path: Path, golden: Golden | None) -> TinyFlow:
    """Load as ever, and flows with a fault of this file."""
    return TinyFlow(exiting()) if path.read_text() == "exiting" else tiny_loader(path, golden)


def serve_faulty(arguments: list[str]) -> None:
    """Run the command line with faulty flows and little patience for them."""
    hurry()
    vars(serve).update(
        create_app=lambda settings, **options: create_app(settings, faulty_loader, **options),
        supervise=partial(supervise, command=command_of("work_faulty", __name__)),
    )
    cli.main(arguments)


def work_faulty() -> None:
    """Be a worker of it."""
    hurry()
    work(faulty_loader)


def hurry() -> None:
    """Make a fault of what takes less time, and notice it sooner."""
    engine.SLOW_S = 0.2
    processes.QUIET_BEATS, processes.LOST_BEATS = 5, 50
    vars(watch).update(QUIET_BEATS=5, BEAT_S=0.1)
    vars(worker_server).update(BEAT_S=0.1)


def serve_patiently(arguments: list[str]) -> None:
    """Run the command line so that connections without a request stay open for long while it drains."""
    server.LINGER_S = 30
    vars(serve).update(
        create_app=lambda settings, **options: create_app(settings, tiny_loader, **options),
        supervise=partial(supervise, command=command_of("work_patiently", __name__)),
    )
    cli.main(arguments)


def work_patiently() -> None:
    """Be a worker of it."""
    server.LINGER_S = 30
    work(tiny_loader)


def serve_endlessly(arguments: list[str]) -> None:
    """Run the command line with a loader that never ends, in workers too."""
    vars(serve).update(
        create_app=lambda settings, **options: create_app(settings, endless_loader, **options),
        supervise=partial(supervise, command=command_of("work_endlessly", __name__)),
    )
    cli.main(arguments)


def work_endlessly() -> None:
    """Be a worker of it."""
    work(endless_loader)
