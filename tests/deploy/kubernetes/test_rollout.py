"""A rolling update, rehearsed: real servers with the manifest's environment, and a load that follows their readiness."""

import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from threading import Event

import httpx
import numpy as np

from tests.deploy.kubernetes.kustomize import Object
from tests.deploy.kubernetes.manifests import ROOT, environment_of, servers, settings_in

SHORTER = 2
"""Delay and probes are this many times as quick as in the manifest, all alike."""
CLIENTS = 4
ASKS = 20
"""So many requests a client sends on a connection before it looks for another server."""
REST_S = 0.01
"""Clients rest a little, lest nothing else gets done on a small machine."""
SECONDS = 60
JSON = {"Content-Type": "application/json"}
BODY = (ROOT / "models" / "digits" / "example.json").read_bytes()


class Endpoints:
    """The addresses that are ready, as a readiness probe sees it, each in its turn.

    Args:
        probe: How, as the manifest says it.
    """

    def __init__(self, probe: Object) -> None:
        """Know none yet."""
        self.ended = Event()
        self._probe = probe
        self._ready: list[str] = []
        self._turns = count()

    def next(self) -> str:
        """The next address that is ready."""
        ready = self._ready
        return ready[next(self._turns) % len(ready)]

    def has(self, address: str) -> bool:
        """Whether an address is ready."""
        return address in self._ready

    def watch(self, address: str) -> None:
        """Ask an address again and again, as the kubelet does."""
        failures = 0
        while not self.ended.wait(self._probe["periodSeconds"] / SHORTER):
            failures = 0 if self._succeeds(address) else failures + 1
            if failures == 0 and address not in self._ready:
                self._ready = [*self._ready, address]
            if failures >= self._probe["failureThreshold"]:
                self._ready = [each for each in self._ready if each != address]

    def _succeeds(self, address: str) -> bool:
        try:
            answer = httpx.get(address + self._probe["httpGet"]["path"], timeout=self._probe["timeoutSeconds"])
        except httpx.HTTPError:
            return False
        return answer.status_code == 200


@contextmanager
def pod_in_process(container: Object) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """What runs in a container, as a process here: with its environment, but a free port, and a shorter delay."""
    settings = settings_in(container)
    own = {name: value for name, value in environment_of(container).items() if name.startswith("GYOZA_")}
    here = {
        "GYOZA_HOST": "127.0.0.1",
        "GYOZA_PORT": "0",
        "GYOZA_MODELS_DIR": str(ROOT / "models"),
        "GYOZA_LOG_LEVEL": "warning",
        "GYOZA_PRE_STOP_DELAY_S": str(settings.pre_stop_delay_s / SHORTER),
    }
    command = [str(Path(sys.executable).with_name("gyoza")), "serve"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, env=os.environ | own | here, text=True, **pipes) as server:  # type: ignore[call-overload]
        try:
            found = (re.search(r"http://127\.0\.0\.1:\d+", line) for line in server.stdout)
            yield server, next(match[0] for match in found if match)
        finally:
            server.kill()


def ask(endpoints: Endpoints, seen: Counter[str], expected: np.ndarray) -> None:
    """Ask one server after the other, each until it says that it ends or has been asked enough; look at every answer."""
    with httpx.Client(headers=JSON, timeout=SECONDS) as client:
        while not endpoints.ended.is_set():
            address = endpoints.next()
            for _ in range(ASKS):
                answer = client.post(f"{address}/models/digits/encode", content=BODY)
                assert answer.status_code == 200, answer.text
                np.testing.assert_allclose(answer.json()["codes"], expected, atol=1e-5)
                seen[address] += 1
                if answer.headers.get("connection") == "close":
                    break
                time.sleep(REST_S)


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until something holds."""
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_rolling_update_loses_no_request() -> None:
    """Two pods are replaced as the Deployment says it, one more at a time: every request gets its right answer meanwhile.

    The endpoints go by readiness alone, and so learn of an end later than Kubernetes' own, which are told of it.
    """
    _, container = servers()["base"]
    endpoints, seen = Endpoints(container["readinessProbe"]), Counter[str]()
    # The stack ends first, and with it what the threads wait for.
    with ThreadPoolExecutor(CLIENTS + 4) as threads, ExitStack() as stack:
        stack.callback(endpoints.ended.set)

        def begin() -> tuple[subprocess.Popen[str], str]:
            server, address = stack.enter_context(pod_in_process(container))
            threads.submit(endpoints.watch, address)
            wait_until(lambda: endpoints.has(address))
            return server, address

        def is_asked(address: str) -> bool:
            return seen[address] > 0 or any(client.done() for client in clients)

        pods = [begin(), begin()]
        expected = codes_of(pods[0][1])
        clients = [threads.submit(ask, endpoints, seen, expected) for _ in range(CLIENTS)]
        for old, address in pods[:2]:
            wait_until(partial(is_asked, address))
            pods.append(begin())
            old.terminate()
            _, log = old.communicate(timeout=SECONDS)
            assert (old.returncode, log) == (0, "")
        for _, address in pods:
            wait_until(partial(is_asked, address))
        endpoints.ended.set()
        for client in clients:
            client.result()
    assert set(seen) == {address for _, address in pods}


def codes_of(address: str) -> np.ndarray:
    """The codes of the example, as the server that is asked first gives them."""
    answer = httpx.post(f"{address}/models/digits/encode", content=BODY, headers=JSON, timeout=SECONDS)
    return np.array(answer.json()["codes"])
