"""What lies in deploy/ray works as it lies there."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from gyoza.client import Retries
from tests.ray.asking import LATENTS, asked, lists
from tests.ray.conftest import MARKS, NAME, ROOT, free_port, replicas
from tests.ray.load import by_client, loaded
from tests.ray.test_ends import THREADS, until

pytestmark = MARKS
FOLDER = ROOT / "deploy" / "ray"


@pytest.mark.parametrize("name", ["serve", "placed"])
def test_a_configuration_is_deployed_as_it_stands(cluster: str, name: str) -> None:
    """By Ray's own command, at the root of the project; the port alone is the cluster's."""
    import ray
    from ray import serve

    command = [str(Path(sys.executable).with_name("serve")), "run", "--non-blocking", f"deploy/ray/{name}.yaml"]
    address = ray.get_runtime_context().gcs_address
    done = subprocess.run(
        [*command, "--address", address], cwd=ROOT, capture_output=True, text=True, check=False, timeout=90
    )
    try:
        assert done.returncode == 0, done.stdout + done.stderr
        until(lambda: httpx.get(f"{cluster}/livez", timeout=60).status_code == 200)
        assert asked(cluster, lists("/encode", latents=LATENTS))[0] == 200
        assert asked(cluster, lists("/models/digits/encode", latents=LATENTS))[0] == 200
    finally:
        serve.delete(NAME)


def test_behind_haproxy_clients_lose_nothing_when_a_replica_is_killed(cluster: str) -> None:
    """Its own words for that are no answer of the service, and the client knows it."""
    assert cluster
    with haproxy() as address, by_client(address, Retries()) as ask, loaded(ask, THREADS) as tally:
        until(lambda: tally.right > 100)
        victim = replicas()[0]
        os.kill(victim, signal.SIGKILL)
        until(lambda: len(replicas()) == 2 and victim not in replicas())
        before = tally.right
        until(lambda: tally.right > before + 100)
    assert tally.errors == []


@contextmanager
def haproxy() -> Iterator[str]:
    """The address of a cluster that the measurements use too, with two replicas behind HAProxy."""
    port = free_port()
    environment = {**os.environ, "RAY_SERVE_ENABLE_HA_PROXY": "1"}
    command = [sys.executable, str(FOLDER / "cluster.py"), str(port)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, cwd=ROOT, env=environment, text=True, **pipes) as process:  # type: ignore[call-overload]
        assert process.stdout
        assert process.stdin
        assert "started" in process.stdout.readline()
        for _ in range(2):
            print(file=process.stdin, flush=True)
            assert "ready" in process.stdout.readline()
        yield f"http://127.0.0.1:{port}"
        process.communicate(timeout=90)
