"""What a compiled flow promises its callers."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from gyoza.inference import CompiledFlow, Plan, compile_flow
from tests.inference.flows import SIZE, plan


class Lowered:
    """The smallest thing that can be compiled."""

    def lower(self) -> Plan:
        """Return a plan of every kind of step."""
        return plan()


def test_compile_flow_runs_what_the_model_lowers_to() -> None:
    """Anything with lower() compiles, Keras or not."""
    flow = compile_flow(Lowered())
    assert flow.encode(np.zeros((3, SIZE)))[0].shape == (3, SIZE)


def test_rows_keep_their_own_shapes() -> None:
    """Latents and codes with more axes are flattened and restored in C order."""
    flat = CompiledFlow(plan())
    shaped = CompiledFlow(replace(plan(), latent_shape=(2, 3), code_shape=(3, 2)))
    rows = np.random.RandomState(3).normal(size=(4, SIZE))
    codes, logdet = shaped.encode(rows.reshape(4, 2, 3))
    assert codes.shape == (4, 3, 2)
    np.testing.assert_array_equal(codes.reshape(4, SIZE), flat.encode(rows)[0])
    np.testing.assert_array_equal(logdet, flat.encode(rows)[1])
    assert shaped.invert(codes).shape == (4, 2, 3)


@pytest.mark.parametrize("shape", [(SIZE,), (3, SIZE + 1), (3, SIZE, 1), ()])
def test_a_wrong_shape_is_refused_with_the_right_one(shape: tuple[int, ...]) -> None:
    """The error says what shape must come and which came."""
    flow = CompiledFlow(plan())
    with pytest.raises(ValueError, match=rf"latents must have the shape \[n, {SIZE}\]. Received: latents.shape="):
        flow.encode(np.zeros(shape))
    with pytest.raises(ValueError, match="codes must have the shape"):
        flow.invert(np.zeros(shape))


def test_no_rows_give_no_rows() -> None:
    """An empty batch goes through; whether it is welcome is the caller's business."""
    flow = CompiledFlow(plan())
    codes, logdet = flow.encode(np.zeros((0, SIZE)))
    assert (codes.shape, logdet.shape, flow.invert(codes).shape) == ((0, SIZE), (0,), (0, SIZE))


def test_threads_share_a_flow() -> None:
    """16 threads that mix encode and invert get what one thread gets."""
    flow = CompiledFlow(plan())
    batches = [np.random.RandomState(seed).normal(size=(seed % 5 + 1, SIZE)) for seed in range(64)]
    expected = [(flow.encode(batch)[0], flow.invert(batch)) for batch in batches]
    with ThreadPoolExecutor(16) as pool:
        codes = list(pool.map(lambda batch: flow.encode(batch)[0], batches))
        latents = list(pool.map(flow.invert, batches))
    for found, (code, latent) in zip(zip(codes, latents, strict=True), expected, strict=True):
        np.testing.assert_array_equal(found[0], code)
        np.testing.assert_array_equal(found[1], latent)
