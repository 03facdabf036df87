"""Clients that ask all the while, and look at every answer."""

import http.client
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event
from urllib.parse import urlsplit

import numpy as np

from tests.app.servers import SECONDS
from tests.app.worlds import LOCATION, SCALE, rows

LATENTS = rows(3)
BODY = json.dumps({"latents": LATENTS.tolist()})
REST_S = 0.002
"""Clients rest a little, lest nothing else gets done on a small machine."""
CODES = (LATENTS.astype(np.float32) - LOCATION) * SCALE


@dataclass
class Seen:
    """What one client saw."""

    right: int = 0
    """Right answers."""
    wrong: list[str] = field(default_factory=list)
    """Other answers."""
    reset: int = 0
    """Requests that got no answer on a connection that had answered before."""
    refused: int = 0
    """Requests that got none on a new connection."""
    port: int = field(default=0, compare=False)
    """Its own port of its first connection."""


class Client:
    """Asks on a connection that it keeps as long as the server does.

    Args:
        address: The server's.
        path: What it asks.
    """

    def __init__(self, address: str, path: str = "/models/tiny/encode") -> None:
        """Connect later."""
        self.seen = Seen()
        self._connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=SECONDS)
        self._path = path

    def ask(self) -> http.client.HTTPResponse | None:
        """Ask once; None if there was no answer."""
        is_new = self._connection.sock is None
        try:
            self._connection.request("POST", self._path, BODY)
            self.seen.port = self.seen.port or self._connection.sock.getsockname()[1]
            answer = self._connection.getresponse()
            content = answer.read()
        except (ConnectionError, http.client.HTTPException):
            self._connection.close()
            self.seen.refused += is_new
            self.seen.reset += not is_new
            return None
        self._look_at(answer, content)
        return answer

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def _look_at(self, answer: http.client.HTTPResponse, content: bytes) -> None:
        if answer.status == 200 and np.allclose(json.loads(content)["codes"], CODES, atol=1e-5):
            self.seen.right += 1
        else:
            self.seen.wrong.append(f"{answer.status}: {content.decode()}")


def ask_until(stop: Callable[[Client], bool], address: str) -> Seen:
    """Ask again and again until something holds."""
    client = Client(address)
    while not stop(client):
        client.ask()
        time.sleep(REST_S)
    client.close()
    return client.seen


@contextmanager
def load_on(address: str, stop: Callable[[Client], bool], clients: int = 4) -> Iterator[list[Future[Seen]]]:
    """Clients that ask until something holds, or the test has failed; all have got an answer when it begins."""
    begun, failed = [Event() for _ in range(clients)], Event()

    def ask(number: int) -> Seen:
        def stops(client: Client) -> bool:
            if client.seen.right:
                begun[number].set()
            return failed.is_set() or stop(client)

        return ask_until(stops, address)

    with ThreadPoolExecutor(clients) as threads:
        futures = [threads.submit(ask, number) for number in range(clients)]
        try:
            for event in begun:
                assert event.wait(SECONDS)
            yield futures
        except BaseException:
            failed.set()
            raise


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until something holds."""
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)
