"""Small worlds whose disentanglement is known: labels, and the blocks that hold them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

SIZES = {"residual": 2, "digit": 3, "color": 3, "angle": 1}


def draw_labels(count: int, seed: int) -> dict[str, NDArray[Any]]:
    """Labels of ``count`` rows: five classes, three numbers, one number."""
    rng = np.random.default_rng(seed)
    return {
        "digit": rng.integers(0, 5, count),
        "color": rng.uniform(0, 1, (count, 3)),
        "angle": rng.uniform(-40, 40, count),
    }


def hold(labels: dict[str, NDArray[Any]], seed: int) -> dict[str, NDArray[Any]]:
    """Blocks that hold their own factor and nothing else, and a residual of noise."""
    rng = np.random.default_rng(seed)
    places = np.random.default_rng(0).normal(0, 5, (5, SIZES["digit"]))
    return {
        "residual": rng.normal(size=(len(labels["digit"]), SIZES["residual"])),
        "digit": places[labels["digit"]] + rng.normal(0, 0.1, (len(labels["digit"]), SIZES["digit"])),
        "color": labels["color"],
        "angle": labels["angle"][:, None] / 40,
    }


TRAIN_LABELS, TEST_LABELS = draw_labels(1500, 1), draw_labels(400, 2)
TRAIN_BLOCKS, TEST_BLOCKS = hold(TRAIN_LABELS, 3), hold(TEST_LABELS, 4)
