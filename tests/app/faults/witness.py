"""A client that behaves well, and sees whether others who don't make any difference to it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx
import numpy as np

from tests.app.worlds import affine, rows

ROWS = rows(3)
CODES, _ = affine().encode(ROWS.astype("float32"))


@dataclass
class Witness:
    """What it has seen."""

    right: int = 0
    wrong: list[str] = field(default_factory=list)
    done: threading.Event = field(default_factory=threading.Event)

    def look(self, client: httpx.Client) -> None:
        """Ask once."""
        try:
            answer = client.post("/models/tiny/encode", json={"latents": ROWS.tolist()})
            np.testing.assert_array_equal(np.array(answer.json()["codes"], "float32"), CODES)
        except (httpx.HTTPError, KeyError, ValueError, AssertionError) as error:
            self.wrong.append(repr(error))
        else:
            self.right += 1

    def look_on(self, address: str, headers: dict[str, str]) -> None:
        """Ask again and again: on one connection, and now and then on a new one."""
        while not self.done.is_set():
            with httpx.Client(base_url=address, headers=headers, timeout=20) as client:
                for _ in range(10):
                    self.look(client)
                    self.done.wait(0.005)


@contextmanager
def witness(address: str, headers: dict[str, str] | None = None) -> Iterator[Witness]:
    """Look on meanwhile: every answer is right, and none is missing."""
    found = Witness()
    thread = threading.Thread(target=found.look_on, args=(address, headers or {}))
    thread.start()
    try:
        yield found
    finally:
        found.done.set()
        thread.join()
    assert found.wrong == []
    assert found.right > 0
