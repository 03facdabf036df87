"""What is as it is now, rather than counted: queues and models."""

from collections.abc import Iterator

from app.engine import Engine
from app.metrics.families import LOAD_SECONDS, MODEL_STATE, QUEUE_ROWS
from app.metrics.sheet import Key
from app.repository import Entry, Repository, State


def gauges_of(engine: Engine, repository: Repository) -> dict[Key, float]:
    """Return the rows that wait in every queue, and the state and load time of every version."""
    gauges: dict[Key, float] = {}
    for lane, stats in engine.stats().items():
        gauges[QUEUE_ROWS.name, lane.model, str(lane.version), lane.primitive.value] = stats.waiting_rows
    for entry in repository.entries:
        gauges.update(gauges_of_version(entry))
    return gauges


def gauges_of_version(entry: Entry) -> Iterator[tuple[Key, float]]:
    """Yield what is known of one version: one number for each state that there is."""
    version = entry.name, str(entry.version)
    for state in State:
        yield (MODEL_STATE.name, *version, state.value), float(entry.state is state)
    if entry.model is not None:
        yield (LOAD_SECONDS.name, *version), entry.model.load_seconds
