"""How many threads a process should have, so that processes and libraries do not fight for the cores."""

import os
from collections.abc import Mapping
from pathlib import Path

from threadpoolctl import threadpool_limits

BLAS_VARIABLES = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS")
"""How BLAS libraries are told their threads, when they are loaded."""
BLAS_THREADS = 1
"""More of them wait for each other by spinning: wherever the cores have other work too, passes take many times longer.

Parallel work comes from passes beside each other, and from workers; ``benchmarks/threads.py`` has the figures.
"""
TENSORFLOW_VARIABLES = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
QUOTA = Path("/sys/fs/cgroup/cpu.max")
"""Where a container reads how much of the processor it may use, "max 100000" if all of it."""


def usable_cores(quota: Path = QUOTA) -> int:
    """Return how many cores this process may use: those that it may run on, and no more than its quota pays for.

    Args:
        quota: A file of the form of ``QUOTA``; one that can't be read limits nothing.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    try:
        granted, period = quota.read_text().split()
        return max(1, min(cores, int(granted) // int(period)))
    except (OSError, ValueError):  # There is no quota: no such file, or "max" in it.
        return cores


def threads_of(workers: int) -> int:
    """Return how many threads each of so many workers should compute in."""
    return max(1, usable_cores() // workers)


def threads_for(cores: float) -> int:
    """Return how many threads a process that was given so many cores should compute in: no more than it can use of them."""
    return max(1, min(int(cores), usable_cores()))


def variables_of(threads: int, given: Mapping[str, str]) -> dict[str, str]:
    """Return the environment variables that give a process's libraries their threads.

    Args:
        threads: So many are for computing.
        given: The environment as it is; what it says already is left out.
    """
    wanted = dict.fromkeys(BLAS_VARIABLES, BLAS_THREADS) | dict.fromkeys(TENSORFLOW_VARIABLES, threads)
    return {name: str(count) for name, count in wanted.items() if name not in given}


def limit_blas(given: Mapping[str, str]) -> None:
    """Take all threads but ``BLAS_THREADS`` from a BLAS that is loaded already, unless the environment gave it some."""
    if not any(name in given for name in BLAS_VARIABLES):
        threadpool_limits(BLAS_THREADS, user_api="blas")
