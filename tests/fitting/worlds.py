"""A small world to fit flows to: factors mixed by an invertible map that is not linear."""

from typing import Any

import numpy as np

from gyoza.fitting import FitSettings

QUICK: dict[str, Any] = {"blocks": 2, "width": 32, "batches_per_epoch": 40, "epochs": 10, "learning_rate": 5e-3}
SHORT = FitSettings(blocks=1, width=8, batches_per_epoch=2, epochs=2)


def mixed(rows: int, seed: int = 1) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Latents float64 [rows, 6], a mix of three shapes, a size, and three causes without a label; and the labels."""
    draw = np.random.default_rng(seed)
    shape, size = draw.integers(0, 3, rows), draw.uniform(-1, 1, rows)
    corners = np.array([[1, 0], [-0.5, 0.87], [-0.5, -0.87]])[shape] + draw.normal(0, 0.1, (rows, 2))
    causes = np.column_stack([corners, size, draw.normal(0, 0.5, (rows, 3))])
    first, second = (np.linalg.qr(np.random.default_rng(seed).normal(size=(6, 6)))[0] for seed in (1, 2))
    turned = causes @ first
    return (turned + turned**3 / 3) @ second, {"shape": shape, "size": size}
