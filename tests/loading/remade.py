"""The four flows of gyoza 0.3 as their owner makes them again in code, and what to train them on."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from gyoza.modelling.flow_layers import (
    ActivationNormalization,
    AdditiveCoupling,
    CheckerBoardPermutation,
    DisentanglingFlowModel,
    FlowModel,
    HeavisidePermutation,
    Reflection,
    ShufflePermutation,
)
from gyoza.modelling.losses import SupervisedFactorLoss
from gyoza.modelling.masks import CheckerBoardMask, HeavisideMask, Mask
from tests.loading.originals import COMPILED, SIZES
from tests.modelling.layers import randomize


def additive(mask: Mask, network: Any, dtype: str = "float32") -> AdditiveCoupling:
    """A coupling along the axes of its mask."""
    at: dict[str, Any] = {"shape": mask._shape_, "axes": mask._axes_}
    return AdditiveCoupling(**at, compute_coupling_parameters=network, mask=mask, dtype=dtype)


def dense(size: int, hidden: int, activation: str, dtype: str = "float32") -> keras.Sequential:
    """A network [n, size] -> [n, size]."""
    layers = [
        keras.layers.Input((size,), dtype=dtype),
        keras.layers.Dense(hidden, activation=activation, dtype=dtype),
        keras.layers.Dense(size, dtype=dtype),
    ]
    return keras.Sequential(layers)


def checkerboard_7() -> FlowModel:
    """A flow as its owner makes it again in code; the shuffle is in the weights."""
    at: dict[str, Any] = {"shape": [7], "axes": [1]}
    layers = [ActivationNormalization(**at), ShufflePermutation(**at)]
    for _ in range(2):
        layers += [additive(CheckerBoardMask(**at), dense(7, 9, "tanh")), CheckerBoardPermutation(**at)]
    return DisentanglingFlowModel(layers)


def compiled_8() -> FlowModel:
    """The flow that was compiled."""
    at: dict[str, Any] = {"shape": [8], "axes": [1]}
    layers = [ActivationNormalization(**at), Reflection(**at, reflection_count=1)]
    layers += [additive(HeavisideMask(**at), dense(8, 16, "relu")), HeavisidePermutation(**at)]
    return DisentanglingFlowModel([*layers, ActivationNormalization(**at)])


def heaviside_6() -> FlowModel:
    """A flow on [6]."""
    at: dict[str, Any] = {"shape": [6], "axes": [1]}
    layers = [ActivationNormalization(**at), Reflection(**at, reflection_count=3)]
    for _ in range(2):
        layers += [additive(HeavisideMask(**at), dense(6, 8, "relu")), HeavisidePermutation(**at)]
    return FlowModel([*layers, ActivationNormalization(**at)])


def image_conv() -> FlowModel:
    """A flow on images."""
    at: dict[str, Any] = {"shape": [5, 6], "axes": [1, 2]}
    layers = [ActivationNormalization(**at), Reflection(**at, reflection_count=2)]
    layers += [additive(CheckerBoardMask(**at), keras.layers.Conv2D(1, 2, padding="same"))]
    layers += [CheckerBoardPermutation(**at)]
    return FlowModel([*layers, additive(CheckerBoardMask(**at), keras.layers.Conv2D(1, 2, padding="same"))])


MADE: dict[str, tuple[Callable[[], FlowModel], tuple[int, ...]]] = {
    "disentangling_checkerboard_7": (checkerboard_7, (7,)),
    COMPILED: (compiled_8, (8,)),
    "flow_heaviside_6": (heaviside_6, (6,)),
    "flow_image_conv_5x6x1": (image_conv, (5, 6, 1)),
}


def made(name: str) -> Any:
    """The flow of that name made in code and built, with weights of its own."""
    make, shape = MADE[name]
    model = make()
    model.build((None, *shape))
    randomize(model, 0)
    return model


def pairs(size: int) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
    """Eight pairs of latents and how similar they are along the factors of ``SIZES``."""
    draw = np.random.default_rng(0)
    a, b = (draw.standard_normal((8, size)).astype("float32") for _ in range(2))
    return (a, b), np.tile(np.array([[0, 0.9, 0]], "float32"), (8, 1))


def factor_loss(sizes: list[int] = SIZES) -> SupervisedFactorLoss:
    """The loss with which the compiled flow was trained."""
    return SupervisedFactorLoss(sizes)
