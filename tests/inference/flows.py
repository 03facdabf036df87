"""Small plans with every kind of step, for tests that need a flow and no Keras."""

from typing import Any

import numpy as np

from gyoza.inference.plan import (
    Additive,
    Affine,
    BoundedAffine,
    Coupling,
    Dense,
    DenseNetwork,
    Floats,
    Gather,
    Linear,
    Opaque,
    OpaqueNetwork,
    Plan,
    Rotation,
    Spline,
    Step,
)

SIZE = 6
EVEN, ODD = np.arange(0, SIZE, 2), np.arange(1, SIZE, 2)


def dense_network(random: np.random.RandomState, outputs: int) -> DenseNetwork:
    """Two layers from 3 kept columns to ``outputs`` parameters."""
    return DenseNetwork(
        (
            Dense(random.normal(size=(3, 5)), random.normal(size=5), "tanh"),
            Dense(random.normal(size=(5, outputs)) / 2, random.normal(size=outputs)),
        )
    )


def steps() -> dict[str, Step]:
    """One step of every kind, by name; each acts on rows [n, 6]."""
    random = np.random.RandomState(1)
    orthogonal, _ = np.linalg.qr(random.normal(size=(SIZE, SIZE)))
    network = dense_network(random, 3)
    matrix = np.eye(SIZE) + 0.3 * random.normal(size=(SIZE, SIZE))
    return {
        "gather": Gather(random.permutation(SIZE)),
        "affine": Affine(np.exp(random.normal(size=SIZE)) * [1, -1, 1, 1, -1, 1], random.normal(size=SIZE)),
        "rotation": Rotation(orthogonal),
        "additive coupling": Coupling(EVEN, ODD, network, Additive()),
        "affine coupling": Coupling(ODD, EVEN, dense_network(random, 6), BoundedAffine(1.5)),
        "linear": Linear(matrix, np.linalg.inv(matrix), float(np.linalg.slogdet(matrix)[1])),
        "spline coupling": Coupling(EVEN, ODD, dense_network(random, 3 * 11), Spline(4, 1.5, 0.01, 0.01)),
        "opaque network": Coupling(EVEN, ODD, OpaqueNetwork(lambda kept: np.sin(kept) ** 2), Additive()),
        "opaque": Opaque(lambda rows: (rows**3 + rows, np.log(3 * rows**2 + 1).sum(axis=1)), inverse_of_cubic),
    }


def inverse_of_cubic(rows: Floats) -> Floats:
    """Solve x³ + x = y entry by entry, by Cardano's formula."""
    half = rows / 2
    root = np.sqrt(half**2 + 1 / 27)
    return np.asarray(np.cbrt(half + root) + np.cbrt(half - root))


def plan(*chosen: Step, dtype: Any = np.float64) -> Plan:
    """A plan of the chosen steps (of all of them where none is chosen) on latents [6]."""
    return Plan(chosen or tuple(steps().values()), (SIZE,), (SIZE,), np.dtype(dtype))
