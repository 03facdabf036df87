"""What the system knows of the processes: time, memory, files."""

import os
from collections.abc import Mapping
from functools import partial

from prometheus_client import Metric, ProcessCollector

PREFIX = "gyoza"
WORKER = "worker"


def lives(process: int) -> bool:
    """Whether there is a process of this id, and of this user: another one's has taken the id over."""
    try:
        os.kill(process, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def process_families(processes: Mapping[int, int]) -> list[Metric]:
    """Return the usual metrics of processes.

    Args:
        processes: The numbers of workers to the ids of their processes.

    Returns:
        Each with the worker as its label; none where the system does not tell, or of a process that has ended.
    """
    families: dict[str, Metric] = {}
    for number, process in processes.items():
        for found in ProcessCollector(PREFIX, partial(int, process), registry=None).collect():
            family = families.setdefault(found.name, Metric(found.name, found.documentation, found.type))
            for sample in found.samples:
                family.add_sample(sample.name, {**sample.labels, WORKER: str(number)}, sample.value)
    return [*families.values()]
