"""A small flow to save and load."""

from typing import Any

import keras
import numpy as np

from gyoza.modelling.flow_layers import (
    ActivationNormalization,
    AdditiveCoupling,
    AffineCoupling,
    DisentanglingFlowModel,
    HeavisidePermutation,
    Reflection,
)
from gyoza.modelling.masks import HeavisideMask

AT: dict[str, Any] = {"shape": [4], "axes": [1]}


def network(outputs: int, hidden: keras.layers.Layer) -> keras.Sequential:
    """A coupling network on latents [n, 4]."""
    return keras.Sequential([keras.Input((4,)), hidden, keras.layers.Dense(outputs)])


def flow_model(hidden: keras.layers.Layer | None = None, seed: int = 0) -> DisentanglingFlowModel:
    """A small flow with every kind of layer and weights that are not the initial ones."""
    hidden = hidden or keras.layers.Dense(5, activation="swish")
    layers = [
        ActivationNormalization(**AT),
        Reflection(**AT, reflection_count=2),
        AdditiveCoupling(**AT, compute_coupling_parameters=network(4, hidden), mask=HeavisideMask(**AT)),
        HeavisidePermutation(**AT),
        AffineCoupling(**AT, compute_coupling_parameters=network(8, keras.layers.Dense(5)), mask=HeavisideMask(**AT)),
    ]
    model = DisentanglingFlowModel(flow_layers=layers, factors={"residual": 2, "digit": 2})
    model.build((None, 4))
    random = np.random.RandomState(seed)
    for weight in model.trainable_weights:
        weight.assign(weight + random.uniform(0.05, 0.3, weight.shape))
    return model


def pairs() -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
    """Eight pairs of latents and how similar they are."""
    draw = np.random.default_rng(0)
    a, b = (draw.standard_normal((8, 4)).astype("float32") for _ in range(2))
    return (a, b), np.tile(np.array([[0, 0.9]], "float32"), (8, 1))
