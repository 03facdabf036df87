"""Loading and unloading in all workers."""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from app.errors import Conflict, NotFound
from app.repository import OwnControl, Repository
from app.workers.control import SharedControl, serves
from app.workers.messages import Answered, Ask, Done, Fault, FromSupervisor, FromWorker, Loaded, Order
from app.workers.orders import Orders
from tests.app.keyrings import controlling
from tests.app.servers import SECONDS
from tests.app.workers.test_supervisor import WORKERS, ends, is_ready, serving_by_workers, wait_until
from tests.app.worlds import LATENTS, loaded, put

GONE = Fault(kind="not found", text="There is no model 'a'.")
BROKEN = Fault(kind="conflict", text="version 1 of a: ?")


class Worker:
    """A worker, as the orders see it."""

    def __init__(self, name: str) -> None:
        """Have heard nothing."""
        self.name = name
        self.orders = 0
        self.told: list[FromSupervisor] = []

    def tell(self, message: FromSupervisor) -> None:
        """Hear something."""
        self.told.append(message)


def world(count: int = 2) -> tuple[Orders, list[Worker]]:
    """Orders for some workers, and the workers."""
    workers = [Worker(f"worker {number}") for number in range(1, count + 1)]
    return Orders(lambda: workers), workers  # type: ignore[arg-type, return-value]


def ordered(workers: list[Worker]) -> int:
    """The number of the last order, which all of them have heard."""
    (number,) = {next(each.number for each in reversed(w.told) if isinstance(each, Order)) for w in workers}
    return number


def fault_after(*faults: Fault | None) -> Fault | None:
    """What a worker is told that asked for something of which this came in each worker."""
    orders, workers = world(len(faults))
    orders.give(workers[0], Ask(number=7, verb="load", model="a"))  # type: ignore[arg-type]
    for _ in range(2 if 0 < len([fault for fault in faults if fault]) < len(faults) else 1):
        number = ordered(workers)
        for worker, fault in zip(workers, faults, strict=True):
            assert not any(isinstance(message, Answered) for message in workers[0].told)
            orders.hear(worker, Done(number=number, fault=fault))  # type: ignore[arg-type]
    assert [worker.orders for worker in workers] == [0] * len(faults)
    (answer,) = (message for message in workers[0].told if isinstance(message, Answered))
    assert answer.number == 7
    return answer.fault


def test_the_answer_comes_when_all_are_done() -> None:
    """What all workers have in common is told once; where only some fail, which of them."""
    assert fault_after(None, None) is None
    assert fault_after(GONE, GONE) == GONE
    assert fault_after(BROKEN) == BROKEN
    mixed = fault_after(None, BROKEN, None)
    assert mixed == Fault(kind="conflict", text="Every worker must load a. worker 2: version 1 of a: ?")
    both = fault_after(GONE, BROKEN)
    assert both is not None
    assert both.text == "Every worker must load a. worker 1: There is no model 'a'.; worker 2: version 1 of a: ?"


def test_workers_that_differ_are_ordered_once_more() -> None:
    """Where one could not do what another could, all try again; what all can do then is done."""
    orders, workers = world()
    orders.give(workers[0], Ask(number=7, verb="load", model="a"))  # type: ignore[arg-type]
    for fault in (BROKEN, None):
        number = ordered(workers)
        orders.hear(workers[0], Done(number=number))  # type: ignore[arg-type]
        orders.hear(workers[1], Done(number=number, fault=fault))  # type: ignore[arg-type]
    assert workers[0].told[-1] == Answered(number=7)


def test_workers_that_serve_other_files_are_ordered_once_more() -> None:
    """Where all could do it, but with files that changed meanwhile, all try again; if they still differ, that is told."""
    for second, differs in (("new", False), ("newer", True)):
        orders, workers = world()
        orders.give(workers[0], Ask(number=7, verb="load", model="a"))  # type: ignore[arg-type]
        for found in (("old", "new"), ("new", second)):
            number = ordered(workers)
            for worker, files in zip(workers, found, strict=True):
                assert not any(isinstance(message, Answered) for message in workers[0].told)
                orders.hear(worker, Done(number=number, serves=files))  # type: ignore[arg-type]
        answer = workers[0].told[-1]
        assert isinstance(answer, Answered)
        assert (answer.fault is not None and "must serve the same files of a" in answer.fault.text) == differs


def test_what_is_served_is_told_by_the_digests_of_its_files(tmp_path: Path) -> None:
    """Two processes that serve the same files tell the same, and others tell something else."""
    put(tmp_path)
    put(tmp_path, "other")
    first, second = loaded(tmp_path), loaded(tmp_path)
    assert serves(first, "tiny") == serves(second, "tiny")
    (tmp_path / "tiny/1/flow.keras").write_text("plain")
    second.load("tiny")
    assert serves(first, "tiny") != serves(second, "tiny")
    second.unload("tiny")
    assert serves(second, "tiny") == serves(second, "never")


def test_a_worker_that_ends_is_waited_for_no_more() -> None:
    """An order is done when all workers that live have done it, and what nobody waits for is left aside."""
    orders, workers = world(3)
    orders.give(workers[0], Ask(number=1, verb="load", model="a"))  # type: ignore[arg-type]
    number = ordered(workers)
    orders.hear(workers[0], Done(number=number))  # type: ignore[arg-type]
    orders.hear(workers[2], Done(number=number))  # type: ignore[arg-type]
    orders.lose(workers[1])  # type: ignore[arg-type]
    assert workers[0].told[-1] == Answered(number=1)
    orders.hear(workers[1], Done(number=number))  # type: ignore[arg-type]
    orders.lose(workers[0])  # type: ignore[arg-type]
    assert workers[0].told[-1] == Answered(number=1)


def test_what_a_worker_misses_is_ordered_when_it_is_there() -> None:
    """A worker hears what was not done when it was started, and what was asked for until it was there; once."""
    orders, workers = world()
    orders.give(workers[0], Ask(number=1, verb="unload", model="done"))  # type: ignore[arg-type]
    for worker in workers:
        orders.hear(worker, Done(number=ordered(workers)))  # type: ignore[arg-type]
    orders.give(workers[0], Ask(number=2, verb="unload", model="pending"))  # type: ignore[arg-type]
    orders.begin(2)
    orders.give(workers[0], Ask(number=3, verb="load", model="later"))  # type: ignore[arg-type]
    late = Worker("worker 2")
    for _ in range(2):
        orders.greet(2, late)  # type: ignore[arg-type]
    assert [(order.verb, order.model) for order in late.told if isinstance(order, Order)] == [
        ("unload", "pending"),
        ("load", "later"),
    ]


def report(_: Repository) -> Loaded:
    """A report of a repository."""
    return Loaded(ready=True, versions=(), story="")


class Supervised:
    """A worker's control, and a supervisor that has no other worker."""

    def __init__(self) -> None:
        """Begin without models."""
        self.told: list[FromWorker] = []
        self.control = SharedControl(self.tell, report)

    def tell(self, message: FromWorker) -> None:
        """Hear the worker, order what it asks for, and answer when it is done."""
        self.told.append(message)
        if isinstance(message, Ask):
            self.control.obey(Order(number=message.number, verb=message.verb, model=message.model))
        elif isinstance(message, Done):
            self.control.hear(Answered(number=message.number, fault=message.fault))


async def test_a_worker_asks_and_obeys(tmp_path: Path) -> None:
    """What a worker is asked for it passes on, does when it is told to, and reports; orders wait until it has models."""
    put(tmp_path)
    supervised = Supervised()
    unloading = asyncio.create_task(supervised.control.unload("tiny"))
    await asyncio.sleep(0.01)
    assert [message.kind for message in supervised.told] == ["ask"]
    repository = loaded(tmp_path)
    control = supervised.control.around(OwnControl(repository, 1.0))
    await unloading
    assert [message.kind for message in supervised.told] == ["ask", "loaded", "done"]
    assert repository.find("tiny").reason == "unloaded"
    await control.load("tiny")
    assert repository.find("tiny").model is not None


async def test_what_fails_comes_back(tmp_path: Path) -> None:
    """Errors keep their kind on their way through the supervisor; a bug is told as one."""
    put(tmp_path)
    supervised = Supervised()
    repository = loaded(tmp_path)
    control = supervised.control.around(OwnControl(repository, 1.0))
    with pytest.raises(NotFound, match="no model 'never'"):
        await control.load("never")
    (tmp_path / "tiny/1/flow.keras").write_text("?")
    with pytest.raises(Conflict, match="serves the files of its former load"):
        await control.load("tiny")
    repository.unload = lambda _: 1 / 0  # type: ignore[assignment, method-assign]
    with pytest.raises(Conflict, match=r"a bug in this service \(ZeroDivisionError\)"):
        await control.unload("tiny")


async def test_an_answer_that_nobody_waits_for_is_left_aside() -> None:
    """A request that was given up, and a number that nobody knows, hurt nobody."""
    control = SharedControl(lambda _: None, report)
    asking = asyncio.create_task(control.load("tiny"))
    await asyncio.sleep(0)
    asking.cancel()
    control.hear(Answered(number=0))
    control.hear(Answered(number=99))
    await asyncio.gather(asking, return_exceptions=True)


@contextmanager
def controlled(folder: Path) -> Iterator[tuple[Callable[[str], httpx.Response], httpx.Client, list[int]]]:
    """Two workers that an admin controls: how the admin asks, a client, and the processes."""
    settings, headers = controlling(folder)
    arguments = ("--repository-control", "--admin-keys-file", str(settings["admin_keys_file"]))
    with serving_by_workers(folder, *arguments) as (server, client, workers, _):

        def ask(path: str) -> httpx.Response:
            return httpx.post(f"{client.base_url}{path}", headers=headers, timeout=SECONDS)

        yield ask, client, workers
        server.terminate()
        assert ends(server, workers) == 0


def answers(client: httpx.Client, model: str = "tiny") -> set[tuple[int, str | None]]:
    """The statuses and versions that many connections get, more than there are workers."""
    found = set()
    for _ in range(4 * WORKERS):
        answer = httpx.post(f"{client.base_url}/models/{model}/encode", json={"latents": LATENTS}, timeout=SECONDS)
        found.add((answer.status_code, answer.json().get("version")))
    return found


def test_all_workers_load_and_unload(tmp_path: Path) -> None:
    """Asked at any worker, a load takes place in all before its answer, and one that is started later serves what they do."""
    put(tmp_path)
    put(tmp_path, "other")
    with controlled(tmp_path) as (ask, client, workers):
        put(tmp_path, version="2", text="plain")
        loaded_item = ask("/models/tiny/load")
        assert [item["state"] for item in loaded_item.json()["versions"]] == ["READY", "READY"]
        assert answers(client) == {(200, "2")}
        (tmp_path / "tiny/2/flow.keras").write_text("?")
        failed = ask("/models/tiny/load")
        assert (failed.status_code, failed.json()["detail"].count("version 2 of tiny")) == (409, 1)
        assert answers(client) == {(200, "2")}
        assert ask("/models/never/unload").status_code == 404
        assert ask("/models/tiny/unload").json()["reason"] == "unloaded"
        assert answers(client) == {(503, None)}
        put(tmp_path, "other", version="2", text="?")
        assert ask("/models/other/load").status_code == 409
        put(tmp_path, "other", version="3")  # Nobody asks for it.
        os.kill(workers[0], signal.SIGKILL)
        wait_until(lambda: not is_ready(client))
        wait_until(lambda: is_ready(client))
        assert answers(client) == {(503, None)}
        assert answers(client, "other") == {(200, "1")}
        (tmp_path / "tiny/2/flow.keras").write_text("affine")
        assert ask("/models/tiny/load").json()["state"] == "READY"
        assert answers(client) == {(200, "2")}
