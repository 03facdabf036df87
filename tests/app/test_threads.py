"""Threads: as many as there are cores to share."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.threads import BLAS_VARIABLES, threads_for, threads_of, usable_cores, variables_of

CORES = len(os.sched_getaffinity(0))
INFO = "import os, numpy; from app.threads import *; limit_blas({given}); {info}"
INFO_OF_BLAS = "import threadpoolctl; print(*{one['num_threads'] for one in threadpoolctl.threadpool_info()})"


@pytest.mark.parametrize(
    ("text", "cores"),
    [("max 100000\n", CORES), ("100000 100000\n", 1), ("50000 100000\n", 1), ("99900000 100000\n", CORES)],
)
def test_the_quota_limits_the_cores(tmp_path: Path, text: str, cores: int) -> None:
    """A process uses the cores that it may run on, no more than its quota pays for, and one at least."""
    quota = tmp_path / "cpu.max"
    quota.write_text(text)
    assert usable_cores(quota) == cores


def test_without_a_quota_all_cores_are_usable(tmp_path: Path) -> None:
    """Where there is no such file, nothing is limited."""
    assert usable_cores(tmp_path / "nowhere") == CORES


def test_where_the_system_does_not_tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a system does not say on which cores a process may run, it may run on all."""
    monkeypatch.delattr(os, "sched_getaffinity")
    assert usable_cores(tmp_path / "nowhere") == os.cpu_count()


def test_workers_share_the_cores() -> None:
    """Each worker gets its share of the threads, and one at least."""
    assert threads_of(1) == usable_cores()
    assert threads_of(10_000) == 1


@pytest.mark.parametrize(
    ("cores", "threads"), [(1.0, 1), (5.0, 5), (6.0, 6), (7.0, 7), (16.0, 16), (64.0, 16), (0.5, 1), (0.0, 1), (2.5, 2)]
)
def test_who_is_given_cores_computes_in_as_many_threads(
    cores: float, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many as the cores that were given, whole ones, but one at least, and no more than can be used."""
    monkeypatch.setattr("app.threads.usable_cores", lambda: 16)
    assert threads_for(cores) == threads


def test_what_the_environment_says_stays() -> None:
    """BLAS gets one thread and TensorFlow its share, unless the environment gave them others."""
    found = variables_of(3, {"OMP_NUM_THREADS": "7"})
    assert (found["OPENBLAS_NUM_THREADS"], found["TF_NUM_INTRAOP_THREADS"]) == ("1", "3")
    assert "OMP_NUM_THREADS" not in found


@pytest.mark.parametrize(("given", "threads"), [({}, 1), ({"OPENBLAS_NUM_THREADS": "2"}, 2)])
def test_blas_is_limited_when_it_is_loaded_already(given: dict[str, str], threads: int) -> None:
    """A BLAS that was loaded with more threads keeps one, unless the environment asked for more."""
    others = {name: value for name, value in os.environ.items() if name not in BLAS_VARIABLES}
    script = INFO.format(given=given, info=INFO_OF_BLAS)
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, env={**others, "OPENBLAS_NUM_THREADS": "2"}, stdout=subprocess.PIPE, check=True)
    assert done.stdout.split() == [str(threads).encode()]
