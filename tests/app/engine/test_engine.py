"""The engine: a repository's models, by name, version and primitive."""

import gc
import time
import weakref
from pathlib import Path

import numpy as np
import pytest

from app.engine import Engine
from app.errors import NotReady
from app.model import Primitive
from app.repository import Repository
from tests.app.worlds import coupled, loaded, put, rows


def engine_of(repository: Repository) -> Engine:
    """An engine with small batches."""
    return Engine(repository, max_batch_rows=8, max_queue_rows=64)


async def test_the_primitives(tmp_path: Path) -> None:
    """Encode gives codes and logdet, invert the latents again, whether they take one pass or several."""
    put(tmp_path, text="coupled")
    engine = engine_of(loaded(tmp_path))
    try:
        for count in (1, 8, 50):
            latents, deadline = rows(count), time.monotonic() + 10
            codes, logdet = await engine.run("tiny", 1, Primitive.ENCODE, latents, deadline)
            expected_codes, expected_logdet = coupled().encode(latents)
            np.testing.assert_allclose(codes, expected_codes, rtol=1e-12)
            np.testing.assert_allclose(logdet, expected_logdet, rtol=1e-12)
            (again,) = await engine.run("tiny", 1, Primitive.INVERT, codes, deadline)
            np.testing.assert_allclose(again, latents, atol=1e-12)
    finally:
        engine.close()


async def test_only_ready_models_run(tmp_path: Path) -> None:
    """A version that is not READY does not run."""
    put(tmp_path, text="unproven")
    engine = engine_of(loaded(tmp_path))
    with pytest.raises(NotReady, match="UNAVAILABLE"):
        await engine.run("tiny", 1, Primitive.ENCODE, rows(1), time.monotonic() + 10)
    engine.close()


async def test_no_model_is_held(tmp_path: Path) -> None:
    """The engine keeps no model alive that the repository has let go."""
    put(tmp_path)
    repository = loaded(tmp_path)
    engine = engine_of(repository)
    await engine.run("tiny", 1, Primitive.ENCODE, rows(1), time.monotonic() + 10)
    model = weakref.ref(repository.model("tiny", 1))
    repository._entries = {}
    gc.collect()
    assert model() is None
    engine.close()
