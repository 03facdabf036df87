"""Flows to measure the service with, made without Keras and without a file."""

from itertools import pairwise

import numpy as np

from gyoza.inference import CompiledFlow, Plan
from gyoza.inference.plan import Additive, Coupling, Dense, DenseNetwork, Floats, Rotation, Step

SEED = 0


def additive_flow(dimensions: int, hidden: int, blocks: int, seed: int = SEED) -> CompiledFlow:
    """Make a flow in float32: each block is a rotation and two additive couplings of networks with two hidden layers."""
    random = np.random.RandomState(seed)
    half = dimensions // 2
    first, second = np.arange(half), np.arange(half, dimensions)
    steps: list[Step] = []
    for _ in range(blocks):
        steps.append(Rotation(np.linalg.qr(random.standard_normal((dimensions, dimensions)))[0]))
        for kept, changed in ((first, second), (second, first)):
            steps.append(Coupling(kept, changed, network(random, (half, hidden, hidden, half)), Additive()))
    return CompiledFlow(Plan(tuple(steps), (dimensions,), (dimensions,), np.dtype("float32")))


def network(random: np.random.RandomState, sizes: tuple[int, ...]) -> DenseNetwork:
    """Make a network of so many columns from layer to layer, ReLU between them."""
    kernels: list[Floats] = [
        random.standard_normal((size, following)) / np.sqrt(size) for size, following in pairwise(sizes)
    ]
    hidden = [Dense(kernel, np.zeros(kernel.shape[1]), "relu") for kernel in kernels[:-1]]
    return DenseNetwork((*hidden, Dense(kernels[-1] / 10, np.zeros(sizes[-1]))))
