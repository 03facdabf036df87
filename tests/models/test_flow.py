"""Training the flow on pairs of digits: the loss falls, and it is what the formula says."""

from itertools import pairwise
from pathlib import Path

import keras
import numpy as np
import pytest

from gyoza.inference import compile_flow
from gyoza.metrics import split
from gyoza.modelling.losses import SupervisedFactorLoss
from models.digits import flow as recipe
from models.digits.data import Floats, load_split
from models.digits.flow import FACTORS, build_flow
from models.digits.package import read_version
from models.digits.pairs import PairSource


@pytest.fixture(scope="module")
def pairs(digits_folder: Path) -> tuple[Floats, Floats, Floats]:
    """Latents a and b of 1,536 pairs of training digits, and their correlations."""
    host, _ = read_version(digits_folder / "2")
    one, two, correlations = PairSource(load_split()[0], 0).pairs(1536)
    return host.encode(one), host.encode(two), correlations


def by_hand(codes: tuple[Floats, Floats], logdets: tuple[Floats, Floats], correlations: Floats) -> float:
    """The mean loss of Esser et al. (2020), equation 10, factor by factor, in double precision."""
    first, second = (split(part.astype(np.float64), FACTORS) for part in codes)
    losses = -sum(logdet.astype(np.float64) for logdet in logdets)
    for column, name in enumerate(FACTORS):
        sigma = correlations[:, column, None].astype(np.float64)
        losses = losses + 0.5 * (first[name] ** 2).sum(axis=1)
        losses = losses + 0.5 * ((second[name] - sigma * first[name]) ** 2 / (1 - sigma**2)).sum(axis=1)
    return float(np.mean(losses))


def test_fit_on_digits_lowers_the_loss_and_evaluate_is_right(
    pairs: tuple[Floats, Floats, Floats], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each epoch's loss is below the one before, and evaluate gives the loss by hand to 1e-5, last batch included."""
    monkeypatch.setattr(recipe, "BLOCKS", 2)
    a, b, correlations = pairs
    keras.utils.set_random_seed(0)
    flow = build_flow()
    flow.compile(keras.optimizers.Adam(2e-3), SupervisedFactorLoss(list(FACTORS.values())), jit_compile=False)
    losses = flow.fit((a, b), correlations, epochs=4, batch_size=192, verbose=0).history["loss"]
    assert all(later < earlier for earlier, later in pairwise(losses))
    compiled = compile_flow(flow)
    (codes_a, logdet_a), (codes_b, logdet_b) = compiled.encode(a[:1000]), compiled.encode(b[:1000])
    expected = by_hand((codes_a, codes_b), (logdet_a, logdet_b), correlations[:1000])
    found = flow.evaluate((a[:1000], b[:1000]), correlations[:1000], batch_size=192, verbose=0)
    assert found == pytest.approx(expected, rel=1e-5)
