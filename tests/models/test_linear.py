"""The baseline solves what is linear."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyoza.metrics import join, predictability, split
from models.digits.linear import fit_linear_split

RNG = np.random.default_rng(0)
SIZES = {"residual": 2, "digit": 9, "color": 3, "angle": 3}


def test_the_linear_split_solves_what_is_linear() -> None:
    """Where latents are a rotation of clean blocks, the linear split finds each, inverts, and has the stated sizes."""
    labels: dict[str, NDArray[Any]] = {
        "digit": RNG.integers(0, 10, 5000),
        "color": RNG.uniform(0, 1, (5000, 3)),
        "angle": RNG.uniform(-40, 40, 5000),
    }
    clean = {
        "residual": RNG.normal(size=(5000, 2)),
        "digit": RNG.normal(0, 5, (10, 9))[labels["digit"]],
        "color": labels["color"],
        "angle": np.repeat(labels["angle"][:, None] / 40, 3, axis=1),
    }
    rotation, _ = np.linalg.qr(RNG.normal(size=(17, 17)))
    latents = (join(clean) + 0.1 * RNG.normal(size=(5000, 17))) @ rotation
    fitted = fit_linear_split(latents, labels, SIZES)
    codes, logdet = fitted.encode(latents)
    np.testing.assert_allclose(fitted.invert(codes), latents, atol=1e-9)
    np.testing.assert_allclose(logdet, np.linalg.slogdet(fitted.matrix).logabsdet)
    train, test = split(codes[:4000], SIZES), split(codes[4000:], SIZES)
    known, asked = (
        {name: values[part] for name, values in labels.items()} for part in (slice(4000), slice(4000, None))
    )
    found = predictability(train, known, test, asked)
    assert found.informativeness["digit"] > 0.99
    assert found.informativeness["color"] > 0.8
    assert found.scores[found.factors.index("digit"), found.blocks.index("residual")] < 0.1
