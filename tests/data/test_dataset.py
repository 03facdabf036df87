"""Batches of pairs are what a fit takes, and the same whoever draws them."""

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from gyoza.data import FactorPairs

ROWS = 60
LABELS: dict[str, Any] = {"digit": np.arange(ROWS) % 3, "size": np.arange(ROWS) / 7}


def numbered(dtype: str = "float32") -> np.ndarray:
    """Latents [60, 2] that tell their row: the row and its negative."""
    return np.stack([np.arange(ROWS), -np.arange(ROWS)], axis=1).astype(dtype)


def dataset(**options: Any) -> FactorPairs:
    """Make batches of 7 pairs of numbered rows."""
    return FactorPairs(numbered(), LABELS, **{"batch_size": 7, "seed": 5, **options})


def flat(batch: Any) -> list[Any]:
    """All numbers of a batch."""
    (a, b), y = batch
    return [a.tolist(), b.tolist(), y.tolist()]


def test_a_batch_holds_pairs_and_what_they_share() -> None:
    """Both are rows of the latents, and y tells of exactly these rows."""
    (a, b), y = dataset(batch_size=200, correlations={"digit": 0.75, "size": 0.5})[0]
    one, two = a[:, 0].astype(int), b[:, 0].astype(int)
    np.testing.assert_array_equal(a, numbered()[one])
    np.testing.assert_array_equal(b, numbered()[two])
    assert (one != two).all()
    assert (y[:, 0] == 0).all()
    np.testing.assert_array_equal(y[:, 1], np.where(one % 3 == two % 3, 0.75, 0))
    assert ((y[:, 2] == 0.5).sum(), (y[:, 2] == 0).sum()) == (100, 100)
    assert y.dtype == np.float32


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_latents_keep_shape_and_dtype(dtype: str, noise: float) -> None:
    """Latents of any axes come as they are, with noise or without."""
    latents = np.random.default_rng(0).standard_normal((ROWS, 2, 3, 4)).astype(dtype)
    (a, b), y = FactorPairs(latents, LABELS, batch_size=5, noise=noise, seed=0)[0]
    assert a.dtype == b.dtype == dtype
    assert a.shape == b.shape == (5, 2, 3, 4)
    assert y.shape == (5, 3)


def test_noise_has_its_standard_deviation() -> None:
    """Noise is added to a and to b, each their own, without a change of the pairs or of the latents."""
    latents = numbered("float64")
    given = latents.copy()
    clean, noisy = (FactorPairs(latents, LABELS, batch_size=5000, noise=noise, seed=5)[0] for noise in (0, 0.25))
    noise = np.concatenate([noisy[0][half] - clean[0][half] for half in (0, 1)], axis=1)
    np.testing.assert_allclose(np.cov(noise.T), 0.0625 * np.eye(4), atol=0.005)
    np.testing.assert_allclose(noise.mean(axis=0), 0, atol=0.02)
    np.testing.assert_array_equal(clean[1], noisy[1])
    np.testing.assert_array_equal(latents, given)


def test_factors_have_equal_shares_over_epochs() -> None:
    """With three factors and batches of seven, shares differ by one pair in a batch, and by one over all epochs."""
    draw = np.random.default_rng(0)
    numbers = {name: draw.uniform(size=ROWS) for name in "abc"}
    pairs = FactorPairs(numbered(), numbers, batch_size=7, batches_per_epoch=4, seed=0)
    total = np.zeros(3, int)
    for _ in range(3):
        for _, y in pairs:
            shares = (y[:, 1:] > 0).sum(axis=0)
            total += shares
            assert max(np.ptp(shares), np.ptp(total)) <= 1
        pairs.on_epoch_end()
    assert total.sum() == 3 * 4 * 7


def test_an_epoch_has_as_many_pairs_as_there_are_rows() -> None:
    """By default, rounded up to whole batches; or as many batches as told."""
    assert len(dataset()) == dataset().num_batches == 9
    assert len(dataset(batches_per_epoch=2)) == len(list(dataset(batches_per_epoch=2))) == 2


def test_a_batch_depends_on_seed_epoch_and_index_alone() -> None:
    """The order of asking does not matter; another seed, epoch or index gives other pairs."""
    pairs, other = dataset(), dataset(seed=6)
    forwards = [flat(pairs[index]) for index in range(9)]
    backwards = [flat(pairs[index]) for index in reversed(range(9))]
    assert forwards == backwards[::-1]
    assert forwards[0] != forwards[1]
    assert flat(other[0]) != forwards[0]
    pairs.on_epoch_end()
    assert flat(pairs[0]) != forwards[0]
    pairs.epoch = 0
    assert flat(pairs[0]) == forwards[0]


def test_epochs_are_the_same_without_redraw() -> None:
    """Validation sees the same pairs after every epoch."""
    pairs = dataset(redraw=False)
    before = flat(pairs[3])
    pairs.on_epoch_end()
    assert flat(pairs[3]) == before


def test_a_seed_is_drawn_and_told() -> None:
    """Without a seed there is one all the same, and it gives the same pairs again."""
    pairs = dataset(seed=None)
    assert flat(dataset(seed=pairs.seed)[0]) == flat(pairs[0])
    assert dataset(seed=None).seed != pairs.seed


def test_a_pickled_dataset_draws_the_same() -> None:
    """A copy in another process goes on where the original is, trees included."""
    colors = np.random.default_rng(0).uniform(size=(ROWS, 3))
    pairs = FactorPairs(numbered(), {**LABELS, "color": colors}, batch_size=7, workers=2)
    pairs.on_epoch_end()
    again = pickle.loads(pickle.dumps(pairs))  # noqa: S301 - of our own making.
    assert (again.workers, again.epoch) == (2, 1)
    assert flat(again[4]) == flat(pairs[4])


def collecting() -> Any:
    """A model that gives back its two inputs side by side."""
    one, two = keras.Input((2,)), keras.Input((2,))
    return keras.Model([one, two], keras.layers.Concatenate()([one, two]))


def expected(pairs: FactorPairs) -> np.ndarray:
    """All pairs of an epoch, side by side and in order."""
    return np.concatenate([np.concatenate(x, axis=1) for x, _ in pairs])


def test_threads_draw_the_same_pairs() -> None:
    """Keras with two threads sees the batches in order."""
    pairs = dataset(workers=2, redraw=False)
    np.testing.assert_array_equal(collecting().predict(pairs, verbose=0), expected(pairs))


SCRIPT = """
import numpy as np
from tests.data.test_dataset import collecting, dataset, expected

if __name__ == "__main__":
    pairs = dataset(workers=2, use_multiprocessing=True, redraw=False)
    print((collecting().predict(pairs, verbose=0) == expected(pairs)).all())
"""


def test_processes_draw_the_same_pairs(tmp_path: Path) -> None:
    """Keras with two processes sees the batches in order."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT, encoding="utf-8")
    run = subprocess.run(
        [sys.executable, str(script)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert run.stdout.strip() == "True"


def test_pairs_of_one_factor_share_it() -> None:
    """They are latents, without noise, the same again, and others for another factor or seed."""
    pairs = dataset(noise=1.0)
    a, b = pairs.pairs_sharing("digit", 50)
    assert a.shape == b.shape == (50, 2)
    assert (a[:, 0] % 3 == b[:, 0] % 3).all()
    np.testing.assert_array_equal(a, numbered()[a[:, 0].astype(int)])
    np.testing.assert_array_equal(pairs.pairs_sharing("digit", 50), (a, b))
    assert not np.array_equal(dataset(seed=6).pairs_sharing("digit", 50)[0], a)
    assert not np.array_equal(pairs.pairs_sharing("size", 50)[0], a)


def test_it_names_the_columns_of_y() -> None:
    """The factors come in the order of y, the residual first, with their correlations."""
    assert dataset().factors == ("residual", "digit", "size")
    assert dataset(correlations=0.5).correlations == {"digit": 0.5, "size": 0.5}


@pytest.mark.parametrize("index", [9, -1])
def test_an_epoch_ends(index: int) -> None:
    """There is no batch beyond the epoch's."""
    with pytest.raises(IndexError, match=f"index must be one of 0 to 8. Received: index={index}"):
        dataset()[index]


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (lambda: FactorPairs(numbered()[:-1], LABELS), ValueError, r"shape=\(59, 2\), labels of 60 rows for \['digit'"),
        (lambda: FactorPairs(numbered("int64"), LABELS), TypeError, "latents must be floats"),
        (lambda: FactorPairs(numbered() / 0.0, LABELS), ValueError, r"Received: latents\[0\] is not"),
        (lambda: FactorPairs(numbered(), {"f": [1, None] * 30}), ValueError, r"labels\['f'\] must .*row=1"),
        (lambda: dataset(correlations=1.5), ValueError, r"correlations\['digit'\]=1.5"),
        (lambda: dataset(batch_size=0), ValueError, "batch_size must be at least 1"),
        (lambda: dataset(batches_per_epoch=2.5), TypeError, "batches_per_epoch must be an integer"),
        (lambda: dataset(seed=-1), ValueError, "seed must be at least 0"),
        (lambda: dataset(noise=-0.1), ValueError, "noise must be finite and at least 0. Received: noise=-0.1"),
        (lambda: dataset(noise=float("inf")), ValueError, "noise must be finite"),
        (lambda: dataset(noise="0.1"), TypeError, "noise must be a number. Received: noise='0.1'"),
        (lambda: dataset(noise=True), TypeError, "noise must be a number"),
        (lambda: dataset().pairs_sharing("angle", 3), ValueError, r"one of \['digit', 'size'\]. .*factor='angle'"),
        (lambda: dataset().pairs_sharing("residual", 3), ValueError, "Received: factor='residual'"),
        (lambda: dataset().pairs_sharing("digit", 0), ValueError, "count must be at least 1"),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning", "ignore:divide by zero:RuntimeWarning")
def test_what_does_not_fit_is_refused(make: Callable[[], Any], kind: type[Exception], message: str) -> None:
    """Each message says what must hold and what was received."""
    with pytest.raises(kind, match=message):
        make()
