"""One request and its answer: what is learnt of it meanwhile, for the log, the metrics and the traces alike."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from app.timings import Timings

UNKNOWN = "(unknown)"
"""Stands for every path, method and model that does not exist: what clients make up is no label, or there would be no end."""
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""Those that are told apart; clients may make up others."""


@dataclass(slots=True)
class Exchange:
    """One request and its answer; whoever learns something of it notes it here."""

    request_id: str
    start: float
    """When it came, on the clock of ``time.monotonic``."""
    timings: Timings = field(default_factory=Timings)
    route: str | None = None
    """The endpoint, where the router does not know it better."""
    model: str | None = None
    """The model and the version that were found, if they were."""
    version: str | None = None
    problem: str | None = None
    """The kind of problem that the answer told of."""
    status: int = 0
    """0 until the answer begins."""
    method: str = ""
    path: str = ""
    """As the client wrote it."""
    scheme: str = "http"
    """This and the next one are noted for traces alone."""
    caller: Mapping[str, str] | None = None
    """Headers that tell in which trace the client is."""
    key: str | None = None
    """Whose API key came, by the name in its file."""
    seconds: float = 0.0
    """From its head to the end of its answer."""
    ended: float = 0.0
    """When that was, on the clock of ``time.time``."""
