"""What every layer of the table computes, as arrays: ``python -m tests.modelling.numbers FILE.npz`` writes them.

Run with another ``KERAS_BACKEND``, it writes what that backend computes from the same weights and inputs.
"""

import sys
from typing import Any

import numpy as np
from keras import ops

from gyoza.modelling.flow_layers import FlowModel
from tests.modelling.layers import CASES, built, codes, rows


def compute(name: str) -> list[Any]:
    """Codes, logdet, latents and log-likelihoods of a layer of the table, in float32."""
    layer = built(name, "float32", seed=1)
    model = layer if isinstance(layer, FlowModel) else FlowModel([layer])
    x, y = rows(name, 5, "float32"), codes(name, 5, "float32")
    return [ops.convert_to_numpy(part) for part in (*model(x), model.invert(y), model.log_prob(x))]


def write(path: str) -> None:
    """Write the arrays of all layers, in the order of the table."""
    np.savez(path, *(array for name in CASES for array in compute(name)))


if __name__ == "__main__":
    write(sys.argv[1])
