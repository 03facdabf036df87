"""The engine: a repository's models, by name, version and primitive."""

import asyncio
import gc
import time
import weakref
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from app.engine import Engine
from app.errors import DeadlineExceeded, NotReady
from app.primitives import Primitive
from app.tensors import log_likelihood
from tests.app.worlds import INPUTS, coupled, decoder, encoder, loaded, put, put_halves, rows


def small_engine() -> Engine:
    """An engine with small batches."""
    return Engine(threads=2, max_batch_rows=8, max_queue_rows=64)


async def test_the_primitives(tmp_path: Path) -> None:
    """Encode gives codes, logdet and log-likelihood, invert the latents again, whether they take one pass or several."""
    put(tmp_path, text="coupled")
    engine, entry = small_engine(), loaded(tmp_path).find("tiny")
    try:
        for count in (1, 8, 50):
            latents, deadline = rows(count), time.monotonic() + 10
            codes, logdet, likelihood = await engine.run(entry, Primitive.ENCODE, latents, deadline)
            expected_codes, expected_logdet = coupled().encode(latents)
            np.testing.assert_allclose(codes, expected_codes, rtol=1e-12)
            np.testing.assert_allclose(logdet, expected_logdet, rtol=1e-12)
            np.testing.assert_allclose(likelihood, log_likelihood(codes, logdet), rtol=1e-12)
            (again,) = await engine.run(entry, Primitive.INVERT, codes, deadline)
            np.testing.assert_allclose(again, latents, atol=1e-12)
    finally:
        engine.close()


async def test_only_ready_models_run(tmp_path: Path) -> None:
    """A version that is not READY does not run."""
    put(tmp_path, text="unproven")
    engine, entry = small_engine(), loaded(tmp_path).find("tiny")
    with pytest.raises(NotReady, match="UNAVAILABLE"):
        await engine.run(entry, Primitive.ENCODE, rows(1), time.monotonic() + 10)
    engine.close()


async def test_no_model_is_held(tmp_path: Path) -> None:
    """The engine keeps no model alive that the repository has let go."""
    put(tmp_path)
    repository = loaded(tmp_path)
    engine = small_engine()
    await engine.run(repository.find("tiny"), Primitive.ENCODE, rows(1), time.monotonic() + 10)
    model = weakref.ref(repository.ready("tiny")[1])
    repository.unload("tiny")
    gc.collect()
    assert model() is None
    assert engine.stats() == {}
    engine.close()


async def test_the_pass_that_hangs_is_the_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not one that waits behind it for a thread; and it is so for as long as it hangs, also when its model was unloaded."""
    monkeypatch.setattr("app.engine.engine.SLOW_S", 0.0)
    gate, open_gate = (put(tmp_path, name, text="gated") / "gate" for name in ("hangs", "waits"))
    open_gate.touch()
    engine, repository = Engine(threads=1, max_batch_rows=8, max_queue_rows=64), loaded(tmp_path)
    await engine.run(repository.find("waits"), Primitive.ENCODE, rows(1), time.monotonic() + 10)
    with pytest.raises(DeadlineExceeded):
        await engine.run(repository.find("hangs"), Primitive.ENCODE, rows(1), time.monotonic() + 0.5)
    waiting = asyncio.create_task(
        engine.run(repository.find("waits"), Primitive.ENCODE, rows(1), time.monotonic() + 10)
    )
    await asyncio.sleep(0.1)
    repository.unload("hangs")
    gc.collect()
    try:
        assert "A pass of hangs version 1 (encode) has not come back" in str(engine.fault)
    finally:
        gate.touch()
    await waiting
    assert engine.fault is None
    engine.close()


async def test_the_counts_of_each_queue(tmp_path: Path) -> None:
    """Every primitive of every model that was asked has counts of its own."""
    put(tmp_path, text="coupled")
    put(tmp_path, "other")
    engine, repository = small_engine(), loaded(tmp_path)
    assert engine.stats() == {}
    for model, primitive, count in (
        ("tiny", Primitive.ENCODE, 3),
        ("tiny", Primitive.INVERT, 9),
        ("other", "encode", 1),
    ):
        await engine.run(repository.find(model), Primitive(primitive), rows(count), time.monotonic() + 10)
    assert {lane: (stats.requests, stats.passes, stats.rows) for lane, stats in engine.stats().items()} == {
        ("tiny", 1, Primitive.ENCODE): (1, 1, 3),
        ("tiny", 1, Primitive.INVERT): (1, 2, 9),
        ("other", 1, Primitive.ENCODE): (1, 1, 1),
    }
    engine.close()


async def test_models_share_the_pool(tmp_path: Path) -> None:
    """Many requests to several models and primitives at once are each answered as if they were alone."""
    for name in "abc":
        put(tmp_path, name, text="coupled")
    engine = Engine(threads=2, max_batch_rows=8, max_queue_rows=1000)
    find = loaded(tmp_path).find
    asked = [("abc"[number % 3], rows(1 + number % 20, seed=number)) for number in range(60)]
    deadline = time.monotonic() + 30
    codes = await asyncio.gather(
        *(engine.run(find(name), Primitive.ENCODE, latents, deadline) for name, latents in asked)
    )
    again = await asyncio.gather(
        *(
            engine.run(find(name), Primitive.INVERT, code, deadline)
            for (name, _), (code, *_) in zip(asked, codes, strict=True)
        )
    )
    for (_, latents), (code, logdet, _), (latent,) in zip(asked, codes, again, strict=True):
        expected_code, expected_logdet = coupled().encode(latents)
        np.testing.assert_allclose(code, expected_code, rtol=1e-12)
        np.testing.assert_allclose(logdet, expected_logdet, rtol=1e-12)
        np.testing.assert_allclose(latent, latents, atol=1e-12)
    engine.close()


async def test_halves_run_as_the_flow_does(tmp_path: Path) -> None:
    """Inputs become latents and latents outputs; of a model without halves, whoever asks all the same has a bug."""
    put_halves(put(tmp_path))
    put(tmp_path, name="bare")
    repository, engine = loaded(tmp_path), Engine(threads=1, max_batch_rows=8, max_queue_rows=64)
    deadline = time.monotonic() + 10
    (latents,) = await engine.run(repository.find("tiny"), Primitive.LATENTS, INPUTS, deadline)
    (outputs,) = await engine.run(repository.find("tiny"), Primitive.DECODE, latents, deadline)
    np.testing.assert_allclose(latents, encoder()(INPUTS), rtol=1e-6)
    np.testing.assert_allclose(outputs, decoder()(latents), rtol=1e-5, atol=1e-6)
    for primitive in (Primitive.LATENTS, Primitive.DECODE):
        with pytest.raises(ValueError, match=f"must have the half that {primitive.value} runs"):
            await engine.run(repository.find("bare"), primitive, latents, deadline)
    engine.close()


async def test_a_closed_engine_is_not_ready(tmp_path: Path) -> None:
    """When the engine closes, what waits ends as not ready, and so does whatever comes after."""
    put(tmp_path)
    engine = Engine(threads=2, max_batch_rows=8, max_queue_rows=64, batch_delay_s=10.0)
    ask = partial(engine.run, loaded(tmp_path).find("tiny"), Primitive.ENCODE, rows(1), time.monotonic() + 10)
    waiting = asyncio.create_task(ask())
    await asyncio.sleep(0)
    engine.close()
    with pytest.raises(NotReady):
        await waiting
    with pytest.raises(NotReady):
        await ask()
