"""A warm-up times passes, and finds out how many rows one may have."""

import time
from pathlib import Path

import numpy as np
import pytest

import app.primitives as module
from app.engine.engine import Engine, Lane
from app.halves import Beside
from app.primitives import Primitive, warm_up, warm_up_rows
from app.repository import Repository
from gyoza.inference import CompiledFlow, Plan
from gyoza.inference.checks import Golden
from gyoza.inference.plan import Floats, Opaque
from tests.app.worlds import SIZE, TinyFlow, affine, put

ROW_S = 0.01


def slow() -> CompiledFlow:
    """A flow that encodes a row in ``ROW_S``."""

    def encode(rows: Floats) -> tuple[Floats, Floats]:
        time.sleep(len(rows) * ROW_S)
        return rows, rows[:, 0]

    return CompiledFlow(Plan((Opaque(encode, lambda rows: rows),), (SIZE,), (SIZE,), np.dtype("float32")))


def slow_loader(path: Path, golden: Golden | None) -> TinyFlow:
    """Make the slow flow of any file."""
    return TinyFlow(slow())


def test_every_count_up_to_the_largest_pass_is_timed() -> None:
    """Passes of a few rows up to the most are timed, of a flow alone both ways."""
    assert warm_up_rows(100) == (1, 4, 16, 64, 100)
    found = warm_up(affine(), Beside(), warm_up_rows(16))
    assert {primitive: list(seconds) for primitive, seconds in found.items()} == {
        Primitive.INVERT: [1, 4, 16],
        Primitive.ENCODE: [1, 4, 16],
    }


async def test_no_pass_is_larger_than_the_first_that_took_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes long for a few rows is neither warmed up nor run with more of them; each primitive for itself."""
    monkeypatch.setattr(module, "LONG_PASS_S", 3 * ROW_S)
    put(tmp_path)
    repository = Repository(tmp_path, loader=slow_loader, max_batch_rows=64)
    repository.load_all()
    entry, engine = repository.find("tiny"), Engine(threads=1, max_batch_rows=64, max_queue_rows=64)
    assert entry.model
    assert list(entry.model.seconds[Primitive.ENCODE]) == [1, 4]
    assert list(entry.model.seconds[Primitive.INVERT]) == [1, 4, 16, 64]
    latents = np.arange(9 * SIZE, dtype=np.float32).reshape(9, SIZE)
    for primitive in (Primitive.ENCODE, Primitive.INVERT):
        found, *_ = await engine.run(entry, primitive, latents, time.monotonic() + 10)
        np.testing.assert_array_equal(found, latents)
    passes = {lane: stats.passes for lane, stats in engine.stats().items()}
    engine.close()
    assert passes == {Lane("tiny", 1, Primitive.ENCODE): 3, Lane("tiny", 1, Primitive.INVERT): 1}
