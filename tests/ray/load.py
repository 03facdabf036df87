"""Load that tells right answers from wrong ones, and counts what was lost."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Thread

import httpx
import numpy as np
import orjson

from gyoza.client import Client, Retries
from tests.ray.asking import LATENTS

ROWS = np.tile(LATENTS, (20, 1))


@dataclass
class Tally:
    """What came of requests."""

    right: int = 0
    errors: list[Exception | tuple[int, bytes]] = field(default_factory=list)


@contextmanager
def loaded(ask: Callable[[Tally], None], threads: int) -> Iterator[Tally]:
    """Ask again and again in threads; the tally is complete at the end."""
    tally, stop = Tally(), Event()

    def run() -> None:
        while not stop.is_set():
            try:
                ask(tally)
            except Exception as error:  # noqa: BLE001 - whatever it is, it was lost.
                tally.errors.append(error)

    running = [Thread(target=run) for _ in range(threads)]
    for thread in running:
        thread.start()
    try:
        yield tally
    finally:
        stop.set()
        for thread in running:
            thread.join()


@contextmanager
def by_client(address: str, retries: Retries) -> Iterator[Callable[[Tally], None]]:
    """Ask by the package's own client, and compare every answer with the first."""
    with Client(address, retries=retries) as client:
        expected = client.encode(ROWS).codes

        def ask(tally: Tally) -> None:
            if np.array_equal(client.encode(ROWS).codes, expected):
                tally.right += 1
            else:
                tally.errors.append(ValueError("other codes than before"))

        yield ask


@contextmanager
def by_hand(address: str) -> Iterator[Callable[[Tally], None]]:
    """Ask without ever trying again; what is no success is kept as status and body."""
    content = orjson.dumps({"latents": ROWS}, option=orjson.OPT_SERIALIZE_NUMPY)
    with httpx.Client(base_url=address, timeout=60) as client:

        def ask(tally: Tally) -> None:
            answer = client.post("/encode", content=content, headers={"content-type": "application/json"})
            if answer.status_code == 200:
                tally.right += 1
            else:
                tally.errors.append((answer.status_code, answer.content))

        yield ask
