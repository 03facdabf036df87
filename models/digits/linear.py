"""The baseline: the best linear split of the same latents into blocks of the same sizes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg
from sklearn.linear_model import Ridge

from models.digits.data import LARGEST_ANGLE, Floats, Integers


@dataclass(frozen=True, eq=False)
class LinearSplit:
    """An invertible linear map from latents to codes."""

    mean: Floats
    """[D]."""
    matrix: Floats
    """[D, D]."""

    def encode(self, latents: Floats) -> tuple[Floats, Floats]:
        """Map latents [n, D] to codes [n, D] and logdet [n]."""
        logdet = np.linalg.slogdet(self.matrix).logabsdet
        return (latents - self.mean) @ self.matrix, np.full(len(latents), logdet)

    def invert(self, codes: Floats) -> Floats:
        """Map codes [n, D] to latents [n, D]."""
        return codes @ np.linalg.inv(self.matrix) + self.mean


def fit_linear_split(latents: Floats, labels: Mapping[str, Any], sizes: Mapping[str, int]) -> LinearSplit:
    """Fit directions for each factor, and give what is orthogonal to all of them to the residual.

    Args:
        latents: Latents of renders of training digits, shape [n, D].
        labels: What those renders show: digit [n], color [n, 3], angle [n].
        sizes: Factor name to block size, the residual first; D in all.

    Returns:
        The split. The digit's directions are those of a linear discriminant analysis, the color's and the angle's those
        of a ridge regression on simple functions of each.
    """
    mean = latents.mean(axis=0)
    centred = latents - mean
    covariance = np.cov(centred, rowvar=False)
    directions = {
        "digit": discriminants(centred, labels["digit"]),
        "color": regressions(centred, color_features(labels["color"]), covariance),
        "angle": regressions(centred, angle_features(labels["angle"]), covariance),
    }
    factors = np.concatenate([directions[name][:, :size] for name, size in sizes.items() if name in directions], axis=1)
    # Uncorrelated with every factor's direction: what they read linearly is not in the residual.
    residual = scipy.linalg.null_space(factors.T @ covariance)
    residual = residual @ np.linalg.inv(scipy.linalg.sqrtm(residual.T @ covariance @ residual).real)
    return LinearSplit(mean, np.concatenate([residual, factors], axis=1))


def discriminants(centred: Floats, classes: Integers) -> Floats:
    """Return the directions [D, D] that separate the classes best, the best first, as wide as within a class."""
    means = np.stack([centred[classes == label].mean(axis=0) for label in range(10)])
    within = np.cov(centred - means[classes], rowvar=False)
    _, directions = scipy.linalg.eigh(np.cov(means, rowvar=False), within)
    return np.asarray(directions[:, ::-1])


def regressions(centred: Floats, features: Floats, covariance: Floats) -> Floats:
    """Return the directions [D, k] of the best linear readings of features [n, f], the best first, of variance 1."""
    features = (features - features.mean(axis=0)) / features.std(axis=0)
    weights = Ridge(1.0).fit(centred, features).coef_.T
    left, _, _ = np.linalg.svd(scipy.linalg.sqrtm(covariance).real @ weights, full_matrices=False)
    return np.asarray(np.linalg.inv(scipy.linalg.sqrtm(covariance).real) @ left)


def color_features(color: Floats) -> Floats:
    """Return the colour itself [n, 3]."""
    return color


def angle_features(angle: Floats) -> Floats:
    """Return functions of the angle [n, 3] of which three directions can be told."""
    scaled = angle / LARGEST_ANGLE
    return np.stack([scaled, scaled**2, scaled**3], axis=1)
