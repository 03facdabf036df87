"""What runs in the process of a worker."""

import signal
import socket
import sys

from app import peers
from app.announcement import story
from app.lifecycle import Lifecycle
from app.logs import configure_logging
from app.main import create_app
from app.metrics import Metrics
from app.model import Loader
from app.repository import UNLOADED, Key, Known, Repository
from app.serving import configuration, leave
from app.workers.control import SharedControl
from app.workers.messages import Assignment, FromWorker, Loaded, Version
from app.workers.processes import HEARD_BY_SUPERVISOR
from app.workers.server import WorkerServer


def work(loader: Loader | None = None) -> None:
    """Serve as one of several workers, as the supervisor says through standard input, then end with its code.

    Args:
        loader: What makes a flow of a file; None: what ``create_app`` takes then.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: leave())
    # The supervisor blocked them until now.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HEARD_BY_SUPERVISOR)
    assignment = Assignment.model_validate_json(sys.stdin.buffer.read())
    configure_logging(assignment.settings, assignment.log_lock)
    server = server_of(assignment, loader)
    server.run()
    leave(server.code)


def server_of(assignment: Assignment, loader: Loader | None) -> WorkerServer:
    """Make the server of a worker."""
    settings = assignment.settings

    def on_loaded(repository: Repository, _: float) -> None:
        server.tell_from_thread(loaded(repository, assignment))

    def tell(message: FromWorker) -> None:
        server.tell(message)

    control = SharedControl(tell, lambda repository: loaded(repository, assignment))
    known = peers.Peers(("the other workers have not been heard of yet",), known_of(assignment), control.around)
    lifecycle, metrics = Lifecycle(), Metrics(assignment.sheets, assignment.number)
    server = WorkerServer(
        configuration(create_app(settings, loader, on_loaded, known, metrics, lifecycle), settings),
        settings,
        lifecycle,
        pipe=socket.socket(fileno=assignment.pipe),
        channel=socket.socket(fileno=assignment.channel),
        known=known,
        control=control,
    )
    return server


def loaded(repository: Repository, assignment: Assignment) -> Loaded:
    """Tell the states of all versions."""
    strict = assignment.settings.strict_readiness
    return Loaded(
        ready=repository.is_ready(strict=strict),
        versions=tuple(
            Version(
                name=entry.name,
                version=entry.version,
                state=entry.state,
                reason=entry.reason,
                is_awaited=entry.is_awaited,
            )
            for entry in repository.entries
        ),
        story=story(assignment.url, repository, assignment.settings),
    )


def known_of(assignment: Assignment) -> dict[Key, Known] | None:
    """Return what the other workers serve already."""
    if assignment.known is None:
        return None
    return {(each.name, each.version): Known(each.reason == UNLOADED, each.is_awaited) for each in assignment.known}
