"""A flow trained on pairs of latents finds the factors that were mixed into them."""

from typing import Any

import keras
import numpy as np

from gyoza.data import FactorPairs, estimate_factor_sizes, split_rows
from gyoza.modelling.flow_layers import ActivationNormalization, AffineCoupling, DisentanglingFlowModel, Reflection
from gyoza.modelling.losses import SupervisedFactorLoss
from gyoza.modelling.masks import HeavisideMask

SIZES = {"residual": 2, "shape": 2, "size": 1}
AT: dict[str, Any] = {"shape": [5], "axes": [1]}


def mixed(rows: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Latents [rows, 5], an invertible mix of three shapes, a size and two causes without a label; and the labels."""
    draw = np.random.default_rng(1)
    shape, size = draw.integers(0, 3, rows), draw.uniform(size=rows)
    corners = np.array([[1, 0], [-0.5, 0.87], [-0.5, -0.87]])[shape] + draw.normal(0, 0.1, (rows, 2))
    causes = np.concatenate([corners, 2 * size[:, None] - 1, draw.normal(0, 0.5, (rows, 2))], axis=1)
    first, second = (np.linalg.qr(draw.normal(size=(5, 5)))[0] for _ in range(2))
    turned = causes @ first
    return ((turned + turned**3 / 3) @ second).astype("float32"), {"shape": shape, "size": size}


def small_flow() -> DisentanglingFlowModel:
    """Make a flow on [5], built and compiled."""
    keras.utils.set_random_seed(0)
    layers: list[Any] = []
    for seed in range(4):
        hidden, last = keras.layers.Dense(32, "swish"), keras.layers.Dense(10, kernel_initializer="zeros")
        network = keras.Sequential([keras.Input((5,)), hidden, last])
        coupling = AffineCoupling(**AT, compute_coupling_parameters=network, mask=HeavisideMask(**AT))
        layers += [ActivationNormalization(**AT), Reflection(**AT, reflection_count=4, seed=seed), coupling]
    flow = DisentanglingFlowModel(layers, factors=SIZES)
    flow.build((None, 5))
    loss = SupervisedFactorLoss(list(SIZES.values()))
    flow.compile(keras.optimizers.Adam(5e-3), loss, jit_compile=False)
    return flow


def explained(block: np.ndarray, target: np.ndarray) -> float:
    """How much of a target [n, d] a linear map of a block explains: R²."""
    inputs = np.concatenate([block, np.ones((len(block), 1))], axis=1)
    error = target - inputs @ np.linalg.lstsq(inputs, target, rcond=None)[0]
    return float(1 - (error**2).sum() / ((target - target.mean(axis=0)) ** 2).sum())


def read(
    flow: DisentanglingFlowModel, latents: np.ndarray, labels: dict[str, np.ndarray]
) -> dict[str, dict[str, float]]:
    """How much of each label each block explains: block → factor → R²."""
    targets = {"shape": np.eye(3)[labels["shape"]], "size": labels["size"][:, None]}
    blocks = flow.split(flow.predict(latents, verbose=0)[0])
    return {name: {factor: explained(block, targets[factor]) for factor in targets} for name, block in blocks.items()}


def test_blocks_learn_their_factors_from_pairs() -> None:
    """The loss falls on both sides; then each block tells its own label on held-out rows, and no other one does."""
    latents, labels = mixed(2000)
    training, validation = (
        (latents[rows], {name: values[rows] for name, values in labels.items()}) for rows in split_rows(2000, 0.2)
    )
    pairs = FactorPairs(*training, batch_size=128, batches_per_epoch=40, seed=1)
    held_out = FactorPairs(*validation, batch_size=400, seed=2, redraw=False)
    flow = small_flow()
    assert pairs.factors == held_out.factors == tuple(SIZES)
    before = read(flow, *validation)
    stop = keras.callbacks.EarlyStopping(patience=4, restore_best_weights=True)
    history = flow.fit(pairs, validation_data=held_out, epochs=12, shuffle=False, verbose=0, callbacks=[stop]).history
    assert history["loss"][-1] < history["loss"][0] - 1
    assert min(history["val_loss"]) < history["val_loss"][0] - 1
    assert pairs.epoch >= len(history["loss"])
    assert held_out.epoch == 0
    after = read(flow, *validation)
    for factor in labels:
        assert after[factor][factor] > before[factor][factor] + 0.2
        assert after[factor][factor] > 0.6
        assert max(after[block][factor] for block in SIZES if block != factor) < 0.15


def test_sizes_of_a_training_come_from_its_pairs() -> None:
    """The factor that makes up more of the latents has the larger score, and the sizes fit the flow."""
    latents, labels = mixed(2000)
    pairs = FactorPairs(latents, labels, seed=0)
    found = estimate_factor_sizes({name: pairs.pairs_sharing(name, 4000) for name in labels})
    assert list(found.sizes) == list(pairs.factors)
    assert found.scores["residual"] > found.scores["shape"] > found.scores["size"] > 0
    assert DisentanglingFlowModel(factors=found.sizes).factors == found.sizes
