"""The floor: the same flow written by hand for its architecture, as NumPy and BLAS calls and nothing else.

All that is linear between two couplings is one matrix, couplings compute on halves, and swaps cost nothing. A floor checks
no shape and casts nothing; it says how fast NumPy could be, not what a library should be.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.flows.specs import Floats

__all__ = ["Floor"]

Layers = list[tuple[Floats, Floats]]
"""Kernel and bias of each dense layer."""


@dataclass(frozen=True, eq=False)
class Mix:
    """All that is linear before a pair of couplings: ``y = x @ matrix + bias``, and back."""

    logdet: float
    matrix: Floats
    bias: Floats
    inverse: Floats
    inverse_bias: Floats

    @classmethod
    def of(cls, location: Floats, scale: Floats, normals: Floats) -> "Mix":
        """Fold a normalization [D] and the reflections at ``normals`` [R, D] into one matrix, in float64."""
        rotation = np.eye(len(scale))
        for normal in normals:
            rotation -= np.outer(rotation @ normal, normal) * (2 / (normal @ normal))
        matrix, inverse = rotation / scale[:, None], rotation.T * scale
        bias = -location @ matrix
        arrays = (as_float32(array) for array in (matrix, bias, inverse, location))
        return cls(-float(np.log(scale).sum()), *arrays)


class Floor:
    """A flow of ``benchmarks.flows.building``, by hand.

    Args:
        weights: What ``benchmarks.flows.building.weights_of`` gives.
        bound: The bound of an affine coupling's log-scale; None for additive couplings.
    """

    def __init__(self, weights: Mapping[str, Floats], bound: float | None) -> None:
        """Fold and slice the weights."""
        blocks = 1 + max(int(name.split("/")[0]) for name in weights)
        self._half = len(weights["0/location"]) // 2
        self._bound = bound
        self._blocks = [(self._mix(weights, block), *self._networks(weights, block)) for block in range(blocks)]
        self._logdet = sum(mix.logdet for mix, *_ in self._blocks)

    def encode(self, latents: Floats) -> tuple[Floats, Floats]:
        """Map latents [n, D], float32, to codes [n, D] and logdet [n]."""
        logdet = np.full(len(latents), self._logdet, np.float32)
        rows = latents
        for mix, first, second in self._blocks:
            rows = rows @ mix.matrix
            rows += mix.bias
            upper, lower = rows[:, : self._half], rows[:, self._half :]
            self._couple(upper, run(first, lower), logdet)
            self._couple(lower, run(second, upper), logdet)
        return rows, logdet

    def invert(self, codes: Floats) -> Floats:
        """Map codes [n, D], float32, to latents [n, D]."""
        rows = codes.copy()
        for mix, first, second in reversed(self._blocks):
            upper, lower = rows[:, : self._half], rows[:, self._half :]
            self._decouple(lower, run(second, upper))
            self._decouple(upper, run(first, lower))
            rows = rows @ mix.inverse
            rows += mix.inverse_bias
        return rows

    def _mix(self, weights: Mapping[str, Floats], block: int) -> Mix:
        names = ("location", "scale", "normals")
        return Mix.of(*(weights[f"{block}/{name}"].astype(np.float64) for name in names))

    def _networks(self, weights: Mapping[str, Floats], block: int) -> tuple[Layers, Layers]:
        def network(coupling: int) -> Layers:
            values = (weights[f"{block}/{coupling}/{index}"] for index in range(6))
            kernel, bias, middle, middle_bias, last, last_bias = values
            size, half = 2 * self._half, self._half
            columns = np.arange(last.shape[1]) % size < half
            return [
                (as_float32(kernel[half:]), bias),
                (as_float32(middle), middle_bias),
                (as_float32(last[:, columns]), as_float32(last_bias[columns])),
            ]

        return network(0), network(1)

    def _couple(self, rows: Floats, parameters: Floats, logdet: Floats) -> None:
        """Transform rows [n, D/2] in place, and add to their logdet [n]."""
        if self._bound is not None:
            log_scale = self._log_scale(parameters)
            logdet += log_scale.sum(axis=1)
            rows *= np.exp(log_scale)
        rows += parameters[:, : self._half]

    def _decouple(self, rows: Floats, parameters: Floats) -> None:
        """Transform rows [n, D/2] back in place."""
        rows -= parameters[:, : self._half]
        if self._bound is not None:
            rows *= np.exp(-self._log_scale(parameters))

    def _log_scale(self, parameters: Floats) -> Floats:
        raw: Floats = parameters[:, self._half :] / np.float32(self._bound or 1)
        np.tanh(raw, out=raw)
        raw *= np.float32(self._bound or 1)
        return raw


def run(layers: Layers, rows: Floats) -> Floats:
    """Run a network with ReLU between its layers: rows [n, D/2] to coupling parameters."""
    *hidden, (kernel, bias) = layers
    for inner, inner_bias in hidden:
        rows = rows @ inner
        rows += inner_bias
        np.maximum(rows, 0, out=rows)
    rows = rows @ kernel
    rows += bias
    return rows


def as_float32(values: Any) -> Floats:
    """Return values as a contiguous array of float32."""
    return np.ascontiguousarray(values, np.float32)
