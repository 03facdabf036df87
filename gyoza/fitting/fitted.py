"""What a fit gives: the flow, what is measured of it, and what it was made with; and the files of these."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import gyoza
from gyoza.fitting.paths import checked_target, report_path
from gyoza.fitting.settings import FitSettings
from gyoza.metrics import BlockScores
from gyoza.metrics.tables import markdown
from gyoza.modelling import keras
from gyoza.modelling.flow_layers import DisentanglingFlowModel

__all__ = ["FittedFlow"]


@dataclass(frozen=True, eq=False, kw_only=True)
class FittedFlow:
    """A flow that was fitted to latents and labels."""

    flow: DisentanglingFlowModel
    """For latents as they were given; not compiled, so that its file holds nothing but the flow."""
    sizes: Mapping[str, int]
    """Factor names to entries of the code, the residual first."""
    raw_scores: Mapping[str, float]
    """Factor names to the scores of ``gyoza.data.estimate_factor_sizes``, whether the sizes came from them or not."""
    block_scores: BlockScores
    """How well each factor can be read from each block, of rows that were kept back."""
    history: Mapping[str, list[float]]
    """``loss`` and ``val_loss`` of each epoch, of pairs of standardised latents."""
    best_epoch: int
    """The epoch whose weights the flow has, counted from 1: the last whose loss on the rows kept back was better than that
    of the best before it by .05 nats or more. A later one may be lower by less."""
    log_likelihood: float
    """The mean of log p(z) over the rows kept back, in nats."""
    settings: FitSettings
    seed: int
    """What was given or drawn."""
    training_rows: int
    validation_rows: int

    @property
    def loss(self) -> float:
        """The flow's loss on pairs of the rows kept back, that of the best epoch."""
        return self.history["val_loss"][self.best_epoch - 1]

    def table(self) -> str:
        """Return a Markdown table, readable as it is: size and measures of every factor."""
        header = ["factor", "size", "raw score", "informativeness", "leakage", "completeness"]
        scores = self.block_scores
        measures = (scores.informativeness, scores.leakage, scores.completeness)
        rows = [
            [name, str(size), f"{self.raw_scores[name]:.3f}", *(shown(measure.get(name)) for measure in measures)]
            for name, size in self.sizes.items()
        ]
        return markdown(header, rows)

    def report(self) -> dict[str, Any]:
        """Return all that is known of the flow but its weights, ready for JSON: what is not finite is None."""
        scores = self.block_scores
        return {
            "seed": self.seed,
            "settings": self.settings.describe(),
            "versions": {
                "gyoza": gyoza.__version__,
                "keras": keras.__version__,
                "backend": keras.backend.backend(),
            },
            "latent_shape": list(self.flow._known_shapes()[0]),
            "rows": {"training": self.training_rows, "validation": self.validation_rows},
            "sizes": dict(self.sizes),
            "raw_scores": dict(self.raw_scores),
            "block_scores": {
                factor: dict(zip(scores.blocks, row, strict=True))
                for factor, row in zip(scores.factors, scores.scores.tolist(), strict=True)
            },
            "best_epoch": self.best_epoch,
            "loss": self.loss,
            "log_likelihood": finite(self.log_likelihood),
            "history": {name: list(map(finite, losses)) for name, losses in self.history.items()},
        }

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write the flow, and beside it what it was made with: ``mine.keras`` and ``mine.fit.json``.

        They are written elsewhere first and then moved, so no file is ever there by half, whatever interrupts.

        Args:
            path: Ends in ``.keras``, in a folder that exists.
            overwrite: Whether files that are there may be replaced.

        Returns:
            The path of the report.

        Raises:
            ValueError: The path has another ending.
            FileNotFoundError: The folder does not exist.
            FileExistsError: One of the files is there, and may not be replaced.
        """
        target = checked_target(path, overwrite=overwrite)
        with TemporaryDirectory(prefix=".gyoza-fit-", dir=target.parent) as folder:
            flow, report = Path(folder) / target.name, Path(folder) / report_path(target).name
            self.flow.save(flow)
            content = {"flow": target.name, "sha256": hashlib.sha256(flow.read_bytes()).hexdigest(), **self.report()}
            report.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")
            report.replace(report_path(target))
            flow.replace(target)
        return report_path(target)


def shown(value: float | None) -> str:
    """Return a measure with three digits, or a dash where there is none."""
    return "–" if value is None else f"{value:.3f}"


def finite(value: float) -> float | None:
    """Return a number that JSON can hold, or None for one that it can't."""
    return value if isfinite(value) else None
