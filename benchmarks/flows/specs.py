"""The flows that are measured: their sizes, where their files lie, and the rows that go through them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "CALLED",
    "CALLED_ANSWERS",
    "CALLED_DIMENSIONS",
    "CALLED_ROWS",
    "FLOWS",
    "LAWS",
    "REFLECTIONS",
    "ROOT",
    "ROWS",
    "WORK",
    "Floats",
    "FlowSpec",
    "answers",
    "largest",
    "latents_of",
]

Floats = NDArray[np.floating[Any]]

ROOT = Path(__file__).parents[2]
WORK = ROOT / "build" / "benchmarks"
"""Flows, logs and the environments of other servers; never kept."""
REFLECTIONS = 8
BOUND = 1.5
LAWS = ("additive", "affine")
CALLED, CALLED_ANSWERS = WORK / "flows" / "called" / "called.keras", WORK / "flows" / "called" / "answers.npz"
"""The flow of ``called.py``, and what its layers answer to so many rows."""
CALLED_DIMENSIONS, CALLED_ROWS = 16, 2000
ROWS = (1, 16, 64, 1024)
"""The sizes of a batch that are measured in process."""


@dataclass(frozen=True)
class FlowSpec:
    """Blocks of ActivationNormalization, Reflection and two couplings, between which the halves are swapped."""

    name: str
    law: str
    """``additive`` or ``affine``."""
    dimensions: int
    """D, the entries of a latent."""
    hidden: int
    """H, the width of either hidden layer of each coupling's network."""
    blocks: int = 8
    work: Path = WORK
    """The folder of all files."""

    @property
    def bound(self) -> float | None:
        """The bound of the couplings' log-scale; None where they are additive."""
        return BOUND if self.law == "affine" else None

    @property
    def folder(self) -> Path:
        """Where all files of the flow lie."""
        return self.work / "flows" / self.name

    @property
    def keras_models(self) -> Path:
        """A folder of models, with the flow as a ``.keras`` file."""
        return self.folder / "keras"

    @property
    def plan_models(self) -> Path:
        """A folder of models, with the flow as a version folder that holds a plan and no ``.keras`` file."""
        return self.folder / "plan"

    @property
    def keras_file(self) -> Path:
        """The flow, saved by Keras."""
        return self.keras_models / f"{self.name}.keras"

    @property
    def plan_file(self) -> Path:
        """The flow, compiled ahead of time."""
        return self.plan_models / self.name / "1" / "plan.safetensors"

    @property
    def weights_file(self) -> Path:
        """The weights as plain arrays, for whoever computes the flow by hand."""
        return self.folder / "weights.npz"

    @property
    def answers_file(self) -> Path:
        """What the layers answer to ``latents_of``."""
        return self.folder / "answers.npz"

    @property
    def title(self) -> str:
        """The flow in a few words."""
        return f"{self.name} (D {self.dimensions}, MLP {self.hidden}×2, {self.blocks} blocks, {self.law})"


SIZES = {"tiny": (32, 64), "small": (64, 256), "large": (512, 1024)}
FLOWS: Mapping[str, FlowSpec] = MappingProxyType(
    {f"{name}-{law}": FlowSpec(f"{name}-{law}", law, *sizes) for name, sizes in SIZES.items() for law in LAWS}
)


def latents_of(spec: FlowSpec, rows: int = max(ROWS)) -> Floats:
    """Return the first so many of the latents [rows, D] that every measurement uses, float32."""
    return np.random.default_rng(7).standard_normal((rows, spec.dimensions)).astype(np.float32)


def answers(spec: FlowSpec) -> dict[str, Floats]:
    """Return what the layers answered: ``latents`` [1024, D], their ``codes``, ``logdet`` [1024], and ``returned``.

    The last is what inverting the codes gives.
    """
    with np.load(spec.answers_file) as file:
        return dict(file)


def largest(found: Floats, expected: Floats) -> float:
    """Return the largest error of a row in units of 1 + max|row|; inf where shapes differ or a number is not finite."""
    if found.shape != expected.shape:
        return float("inf")
    rows = expected.reshape(len(expected), -1)
    errors = np.abs(found.reshape(len(found), -1) - rows).max(axis=1) / (1 + np.abs(rows).max(axis=1))
    return float(np.nan_to_num(errors, nan=np.inf, posinf=np.inf).max())
