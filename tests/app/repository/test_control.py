"""Loading and unloading beside the serving."""

import asyncio
import gc
import threading
import time
import weakref
from pathlib import Path

import numpy as np
import pytest

from app.errors import Conflict, NotFound
from app.repository import LOADING, OwnControl, Repository, State
from app.repository.control import beside
from gyoza.inference import CompiledFlow, Plan
from gyoza.inference.checks import Golden
from gyoza.inference.plan import Floats, Opaque
from tests.app.worlds import SIZE, TinyFlow, loaded, put, tiny_loader

PATIENCE_S = 30.0


def write(folder: Path, text: str) -> None:
    """Write another flow in the place of that of model "tiny"."""
    (folder / "tiny" / "1" / "flow.keras").write_text(text)


async def test_what_is_served_no_more_is_freed(tmp_path: Path) -> None:
    """The memory of a former model is free once the requests that have it are answered, though garbage was frozen before."""
    put(tmp_path)
    repository = loaded(tmp_path)
    control = OwnControl(repository, PATIENCE_S)
    former = weakref.ref(repository.ready("tiny")[1])
    gc.freeze()
    write(tmp_path, "plain")
    await control.load("tiny")
    request = repository.ready("tiny")
    unloading = asyncio.create_task(control.unload("tiny"))
    async with asyncio.timeout(PATIENCE_S):
        while repository.find("tiny").state is State.READY:
            await asyncio.sleep(0.001)
    assert former() is None
    assert not unloading.done()
    last = weakref.ref(request[1])
    del request
    await unloading
    assert last() is None


class Ring:
    """Code that leads to itself, as Keras' models do."""

    def __init__(self) -> None:
        """Close the ring."""
        self.itself = self

    def encode(self, rows: Floats) -> tuple[Floats, Floats]:
        """Leave rows as they are."""
        return rows, rows[:, 0]

    def invert(self, rows: Floats) -> Floats:
        """Leave rows as they are."""
        return rows


async def test_code_that_leads_to_itself_is_freed(tmp_path: Path) -> None:
    """What a plan calls goes with it, though it leads to itself and was left aside by the collector of garbage."""
    put(tmp_path)
    rings: list[weakref.ref[Ring]] = []

    def loader(path: Path, golden: Golden | None) -> TinyFlow:
        ring = Ring()
        rings.append(weakref.ref(ring))
        step = Opaque(ring.encode, ring.invert)
        return TinyFlow(CompiledFlow(Plan((step,), (SIZE,), (SIZE,), np.dtype("float32"))))

    repository = Repository(tmp_path, loader=loader, max_batch_rows=8)
    control = OwnControl(repository, PATIENCE_S)
    await control.load("tiny")
    gc.freeze()
    await control.unload("tiny")
    assert [ring() for ring in rings] == [None]


async def test_a_request_without_end_is_waited_for_so_long(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A model that requests hold for ever is told of in the log, and holds up nothing for longer than it may."""
    put(tmp_path)
    repository = loaded(tmp_path)
    control = OwnControl(repository, 0.01)
    request = repository.ready("tiny")
    await control.unload("tiny")
    assert request[1].flow
    assert "1 models are still in use by requests" in caplog.text


async def test_what_fails_holds_no_former_model(tmp_path: Path) -> None:
    """The error of a load that failed in part keeps nothing in memory of what was served before."""
    put(tmp_path)
    repository = loaded(tmp_path)
    control = OwnControl(repository, PATIENCE_S)
    former = weakref.ref(repository.ready("tiny")[1])
    write(tmp_path, "plain")
    put(tmp_path, version="2", text="?")
    gc.disable()
    try:
        with pytest.raises(Conflict, match="version 2"):
            await control.load("tiny")
        assert former() is None
    finally:
        gc.enable()
    with pytest.raises(NotFound):
        await control.unload("other")


async def test_one_after_the_other(tmp_path: Path) -> None:
    """Loads that are asked for at once happen one after the other, in threads that can't keep the process from its end."""
    for name in "abc":
        put(tmp_path, name)
    running: list[str] = []

    def loader(path: Path, golden: Golden | None) -> TinyFlow:
        assert not running
        running.append(path.parent.parent.name)
        thread = threading.current_thread()
        assert (thread.name, thread.daemon) == (LOADING, True)
        time.sleep(0.01)
        assert running.pop() == path.parent.parent.name
        return tiny_loader(path, golden)

    repository = Repository(tmp_path, loader=loader, max_batch_rows=8)
    control = OwnControl(repository, PATIENCE_S)
    await asyncio.gather(*(control.load(name) for name in "abcabc"))
    assert {entry.state for entry in repository.entries} == {State.READY}


async def test_work_that_nobody_waits_for_any_more() -> None:
    """What comes of work whose caller was cancelled is left aside, and a bug in it is told to whoever waits."""
    go_on, went = threading.Event(), threading.Event()

    def work() -> None:
        go_on.wait()
        went.set()

    waiting = asyncio.create_task(beside(work))
    await asyncio.sleep(0)
    waiting.cancel()
    go_on.set()
    assert await asyncio.to_thread(went.wait, PATIENCE_S)
    await asyncio.gather(waiting, return_exceptions=True)
    assert waiting.cancelled()

    def bug() -> None:
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        await beside(bug)


def test_work_that_outlives_the_loop() -> None:
    """Work that ends after the loop was closed ends quietly."""
    go_on = threading.Event()

    def work() -> None:
        go_on.wait()

    async def begin() -> None:
        task = asyncio.create_task(beside(work))
        await asyncio.sleep(0)
        task.cancel()

    # That of a test before may not have ended yet.
    before = threading.enumerate()
    asyncio.run(begin())
    (thread,) = (each for each in threading.enumerate() if each.name == LOADING and each not in before)
    go_on.set()
    thread.join()
