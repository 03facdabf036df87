"""The same numbers on every backend of Keras."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.modelling.layers import CASES, error
from tests.modelling.numbers import compute

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends_give_the_same_numbers(backend: str, tmp_path: Path) -> None:
    """Codes, logdets, latents and likelihoods of every layer agree to 1e-5, computed by a process on that backend."""
    if find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    file, module = tmp_path / "numbers.npz", "tests.modelling.numbers"
    environment = {**os.environ, "KERAS_BACKEND": backend}
    subprocess.run([sys.executable, "-m", module, str(file)], cwd=ROOT, env=environment, check=True)
    found = iter(np.load(file).values())
    for name in CASES:
        for expected in compute(name):
            assert error(next(found), expected) < 1e-5, (keras.backend.backend(), name)
