"""A warm-up times passes, and finds out how many rows one may have."""

import asyncio
import time
from pathlib import Path

import numpy as np
import pytest

import app.primitives as module
from app.engine import Engine
from app.errors import Overloaded
from app.halves import Beside
from app.primitives import Primitive, warm_up, warm_up_rows
from app.repository import Entry, Repository
from gyoza.inference import CompiledFlow, Plan
from gyoza.inference.checks import Golden
from gyoza.inference.plan import Floats, Opaque
from tests.app.worlds import SIZE, TinyFlow, affine, put

ROW_S = 0.01


class Slow:
    """Loads a flow of any file that takes ``ROW_S`` for each row, either way, and notes how many rows it was given."""

    def __init__(self) -> None:
        """Note nothing yet."""
        self.given: list[int] = []

    def __call__(self, path: Path, golden: Golden | None) -> TinyFlow:
        """Make the flow."""
        steps = (Opaque(lambda rows: (self._wait(rows), rows[:, 0]), self._wait),)
        return TinyFlow(CompiledFlow(Plan(steps, (SIZE,), (SIZE,), np.dtype("float32"))))

    def _wait(self, rows: Floats) -> Floats:
        self.given.append(len(rows))
        time.sleep(len(rows) * ROW_S)
        return rows


@pytest.fixture
def slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Slow, Entry]:
    """A loader of a slow flow, and the version that it loaded, where a pass of three rows is a long one."""
    monkeypatch.setattr(module, "LONG_PASS_S", 3 * ROW_S)
    put(tmp_path)
    loader = Slow()
    repository = Repository(tmp_path, loader=loader, max_batch_rows=64)
    repository.load_all()
    return loader, repository.find("tiny")


def test_every_count_up_to_the_largest_pass_is_timed() -> None:
    """Passes of a few rows up to the most are timed, of a flow alone both ways."""
    found = warm_up(affine(), Beside(), warm_up_rows(16))
    assert {primitive: list(seconds) for primitive, seconds in found.items()} == {
        Primitive.INVERT: [1, 4, 16],
        Primitive.ENCODE: [1, 4, 16],
    }


@pytest.mark.parametrize(
    ("most", "rows"), [(1, (1,)), (4, (1, 4)), (100, (1, 4, 16, 64, 100)), (256, (1, 4, 16, 64, 256))]
)
def test_counts_ascend_in_even_steps(most: int, rows: tuple[int, ...]) -> None:
    """No pass has more than four times the rows of the one before, however large the largest may be."""
    assert warm_up_rows(most) == rows
    assert warm_up_rows(16 * most)[-1] == 16 * most


async def test_no_pass_is_larger_than_the_first_that_took_long(
    slow: tuple[Slow, Entry], caplog: pytest.LogCaptureFixture
) -> None:
    """What takes long for a few rows is neither warmed up nor run with more of them, and the log says so."""
    (loader, entry), engine = slow, Engine(threads=1, max_batch_rows=64, max_queue_rows=128)
    assert "encode of 4 rows took 0.0 s at warm-up, so no pass of it has more" in {
        record.getMessage().partition(": ")[2] for record in caplog.get_records("setup")
    }
    latents = np.arange(8 * SIZE, dtype=np.float32).reshape(8, SIZE)
    for primitive in (Primitive.ENCODE, Primitive.INVERT):
        found, *_ = await engine.run(entry, primitive, latents, time.monotonic() + 10)
        np.testing.assert_array_equal(found, latents)
    engine.close()
    assert max(loader.given) == 4


async def test_a_shorter_pass_has_a_shorter_queue(slow: tuple[Slow, Entry]) -> None:
    """Large requests of a slow model do not take turns until all are too late: one is answered, the others are sent away."""
    (_, entry), engine = slow, Engine(threads=1, max_batch_rows=64, max_queue_rows=128)
    latents, deadline = np.zeros((32, SIZE), np.float32), time.monotonic() + 10
    runs = (engine.run(entry, Primitive.ENCODE, latents, deadline) for _ in range(4))
    found = await asyncio.gather(*runs, return_exceptions=True)
    engine.close()
    assert [type(each) for each in found] == [tuple, Overloaded, Overloaded, Overloaded]
