"""What models have done so far. NAME.encode and NAME.factors share a queue, and each tells what went through it."""

import time
from typing import Any

from starlette.requests import Request

from app.api.dependencies import Services, services_of
from app.api.v2.models import Operation, entry_of, served
from app.engine.engine import Lane
from app.engine.stats import Stats, Tally
from app.repository import Entry, State

NOTHING = Tally({}).stats(waiting_rows=0)


async def all_statistics(request: Request) -> dict[str, Any]:
    """Tell of every model that is READY."""
    return {"model_stats": statistics_of(services_of(request))}


async def model_statistics(request: Request) -> dict[str, Any]:
    """Tell of the versions of one model that are READY, or of the one that is named."""
    services, path = services_of(request), request.path_params
    _, entry = entry_of(services.repository, path)
    version = entry.version if "version" in path else None
    return {"model_stats": statistics_of(services, path["model"], version)}


def statistics_of(services: Services, name: str | None = None, version: int | None = None) -> list[dict[str, Any]]:
    """Tell of the models of that name and version that are READY; None: any."""
    lanes = services.engine.stats()
    return [
        statistics(own, entry, stats_of(lanes, entry, operation))
        for own, operation, entry in served(services.repository)
        if entry.state is State.READY and name in {None, own} and version in {None, entry.version}
    ]


def stats_of(lanes: dict[Lane, Stats], entry: Entry, operation: Operation) -> Stats:
    """Return what went through a model's queue."""
    return lanes.get(Lane(entry.name, entry.version, operation.primitive), NOTHING)


def statistics(name: str, entry: Entry, stats: Stats) -> dict[str, Any]:
    """Write what one queue has done; what is not counted is 0."""
    requests, compute_s = stats.requests, stats.answered_compute_seconds
    return {
        "name": name,
        "version": str(entry.version),
        "last_inference": epoch_ms(stats.last_answer),
        "inference_count": stats.rows,
        "execution_count": stats.passes,
        "inference_stats": {
            "success": counted(requests, stats.queue_seconds + compute_s),
            "fail": counted(stats.failures),
            "queue": counted(requests, stats.queue_seconds),
            "compute_input": counted(requests),
            "compute_infer": counted(requests, compute_s),
            "compute_output": counted(requests),
            "cache_hit": counted(0),
            "cache_miss": counted(0),
        },
        "response_stats": {},
        "batch_stats": [
            {
                "batch_size": rows,
                "compute_input": counted(batches.passes),
                "compute_infer": counted(batches.passes, batches.seconds),
                "compute_output": counted(batches.passes),
            }
            for rows, batches in stats.batches.items()
        ],
        "memory_usage": [],
    }


def epoch_ms(moment: float | None) -> int:
    """Write a moment on the clock of ``time.monotonic`` as milliseconds since 1970; 0 where there was none."""
    return 0 if moment is None else round(1e3 * (time.time() - time.monotonic() + moment))


def counted(count: int, seconds: float = 0.0) -> dict[str, int]:
    """Write a count, and the time of all of them in nanoseconds."""
    return {"count": count, "ns": round(1e9 * seconds)}
