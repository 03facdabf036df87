"""A flow that no plan file can hold: the networks of its couplings branch, so that a plan only calls them.

``python -m benchmarks.flows.called`` writes its files.
"""

from typing import Any

import keras
import numpy as np

from benchmarks.flows.specs import CALLED, CALLED_ANSWERS, CALLED_DIMENSIONS, CALLED_ROWS
from gyoza.modelling.flow_layers import AdditiveCoupling, FlowModel, HeavisidePermutation, Reflection
from gyoza.modelling.masks import HeavisideMask
from gyoza.modelling.reference import LayeredFlow

__all__ = ["build", "make", "network"]

SEED = 5


def network() -> keras.Model:
    """Return dense layers with a way around them."""
    x = keras.Input((CALLED_DIMENSIONS,))
    hidden = keras.layers.Dense(CALLED_DIMENSIONS, "tanh")(x)
    return keras.Model(x, keras.layers.Add()([x, keras.layers.Dense(CALLED_DIMENSIONS)(hidden)]))


def build() -> FlowModel:
    """Return the built flow."""
    keras.utils.set_random_seed(SEED)
    at: dict[str, Any] = {"shape": [CALLED_DIMENSIONS], "axes": [1]}
    layers: list[Any] = [Reflection(**at, reflection_count=4, seed=SEED)]
    for _ in range(2):
        layers += [
            AdditiveCoupling(**at, compute_coupling_parameters=network(), mask=HeavisideMask(**at)),
            HeavisidePermutation(**at),
        ]
    model = FlowModel(layers)
    model.build((None, CALLED_DIMENSIONS))
    return model


def make() -> None:
    """Write the flow as Keras saves it, and what its layers answer."""
    CALLED.parent.mkdir(parents=True, exist_ok=True)
    model = build()
    model.save(CALLED)
    latents = np.random.default_rng(SEED).standard_normal((CALLED_ROWS, CALLED_DIMENSIONS)).astype(np.float32)
    layers = LayeredFlow(model)
    codes, logdet = layers.encode(latents)
    np.savez(CALLED_ANSWERS, latents=latents, codes=codes, logdet=logdet, returned=layers.invert(codes))


if __name__ == "__main__":
    make()
