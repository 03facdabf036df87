"""What a split of the host's latents is worth on digits that nothing was fitted to."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from sklearn.svm import SVC

from gyoza import metrics
from gyoza.inference.checks import Flow
from models.digits.data import SIDE, Digits, Floats, Integers, draw_repeated, label, render
from models.digits.host import Host
from models.digits.pairs import PairSource

TRAINING_REPEATS = 8
REPEATS = 4
PAIRS = 2000
TREE_ROWS = 2500
"""How many training renders the trees of DCI learn from: all of them would take longer than everything else."""
SEEDS = {"training": 1001, "measured": 1002, "donors": 1003, "pairs": 1004}
"""The same for every model: all are measured on the same renders."""


@dataclass(frozen=True, eq=False)
class Split:
    """A split of latents into blocks, learnt or linear."""

    flow: Flow
    """Latents [n, 32] to codes [n, 32], and back."""
    sizes: Mapping[str, int]
    """Block name to size, the residual first: residual, digit, color, angle."""

    def blocks(self, latents: Floats) -> dict[str, Floats]:
        """Return the blocks of the codes of latents [n, 32]."""
        return metrics.split(self.flow.encode(latents)[0], self.sizes)


class Bench:
    """Renders to measure on, the same for every split.

    Args:
        host: The host network.
        training: The digits that it and the splits learnt from.
        measured: The digits to measure on.
    """

    def __init__(self, host: Host, training: Digits, measured: Digits) -> None:
        """Render everything, and train the judge that reads digits from pixels."""
        shown, asked = (
            draw_repeated(training, TRAINING_REPEATS, SEEDS["training"]),
            draw_repeated(measured, REPEATS, SEEDS["measured"]),
        )
        images = render(training, shown)
        self.host = host
        self.training = label(training, shown)
        self.training_latents = host.encode(images)
        self.measured = label(measured, asked)
        self.measured_images = render(measured, asked)
        self.measured_latents = host.encode(self.measured_images)
        self.donors = metrics.draw_donors(self.measured["digit"], seed=SEEDS["donors"])
        self.judge = SVC(C=10).fit(normalised(images), self.training["digit"])
        self._digits = measured

    def measure(self, split: Split) -> dict[str, float]:
        """Return every measure of a split by name."""
        probes, blocks = self.probes(split), split.blocks(self.measured_latents)
        scores, pairs = self.score_blocks(split), self.correlate_pairs(split)
        return {
            **read_blocks(scores),
            **self.measure_swaps(split, probes, blocks),
            **{f"{factor} pair correlation": value for factor, value in pairs.own.items()},
            "residual digit, SVM": self.measure_residual(split),
            **{f"{name} std": float(np.mean(block.std(axis=0))) for name, block in blocks.items()},
            **{f"{factor} completeness": value for factor, value in scores.completeness.items()},
            **self.measure_dimensions(split),
        }

    def probes(self, split: Split) -> metrics.Probes:
        """Return nearest-neighbour readers of the blocks, made on renders of training digits."""
        return metrics.Probes(split.blocks(self.training_latents), self.training)

    def score_blocks(self, split: Split) -> metrics.BlockScores:
        """Return how well each factor can be read from each block."""
        return self.probes(split).score(split.blocks(self.measured_latents), self.measured)

    def measure_swaps(self, split: Split, probes: metrics.Probes, blocks: metrics.Blocks) -> dict[str, float]:
        """Return what is read after one factor came from a donor that shows another digit."""
        swaps = {
            factor: metrics.send_swap(split.flow, blocks, factor, self.donors, host=self.host)
            for factor in ("color", "digit")
        }
        color, digit = (metrics.swap_consistency(probes, swap, self.measured) for swap in swaps.values())
        classes = self.measured["digit"]
        return {
            "color swap follows": color.as_read.follows,
            "color swap follows, true color": color.as_labelled.follows,
            "color swap keeps digit": color.as_labelled.keeps["digit"],
            "color swap keeps digit, as read before": color.as_read.keeps["digit"],
            "color swap keeps digit, SVM on pixels": self._judge(swaps["color"].outputs, classes),
            "digit swap follows": digit.as_labelled.follows,
            "digit swap follows, as read before": digit.as_read.follows,
            "digit swap follows, SVM on pixels": self._judge(swaps["digit"].outputs, classes[self.donors]),
            "digit swap keeps color": digit.as_read.keeps["color"],
            "digit swap keeps angle": digit.as_read.keeps["angle"],
        }

    def correlate_pairs(self, split: Split) -> metrics.PairCorrelations:
        """Return how correlated each block is over pairs that share one factor alone."""
        source = PairSource(self._digits, SEEDS["pairs"])
        pairs = {}
        for column, factor in enumerate(("digit", "color", "angle")):
            shared = np.zeros((PAIRS, 3), bool)
            shared[:, column] = True
            images = (render(self._digits, settings) for settings in source.settings(shared))
            one, two = (split.blocks(self.host.encode(half)) for half in images)
            pairs[factor] = one, two
        return metrics.pair_correlations(pairs)

    def measure_residual(self, split: Split) -> float:
        """Return the accuracy of a stronger probe, a support vector machine, on the digit in the residual."""
        training, measured = (split.blocks(rows)["residual"] for rows in (self.training_latents, self.measured_latents))
        probe = SVC(C=10).fit(training, self.training["digit"])
        return metrics.accuracy(self.measured["digit"], probe.predict(measured))

    def measure_dimensions(self, split: Split) -> dict[str, float]:
        """Return the measures that most of the literature reports, which look at single dimensions of the code."""
        training, codes = (split.flow.encode(rows)[0] for rows in (self.training_latents, self.measured_latents))
        known = {factor: values[:TREE_ROWS] for factor, values in self.training.items()}
        dci = metrics.dci(training[:TREE_ROWS], known, codes, self.measured)
        return {
            "MIG": metrics.mig(codes, self.measured).mean,
            "SAP": metrics.sap(training, self.training, codes, self.measured).mean,
            "DCI disentanglement": dci.disentanglement,
            "DCI completeness": float(np.mean(list(dci.completeness.values()))),
            "DCI informativeness": float(np.mean(list(dci.informativeness.values()))),
        }

    def _judge(self, images: Floats, classes: Integers) -> float:
        return metrics.accuracy(classes, self.judge.predict(normalised(images)))


def read_blocks(scores: metrics.BlockScores) -> dict[str, float]:
    """Return what is read from each block: its own factor, the worst leak of each; the digit as plain accuracy too."""
    digit = dict(zip(scores.blocks, scores.raw[scores.factors.index("digit")].tolist(), strict=True))
    own, leak = scores.informativeness, scores.leakage
    plain_own, plain_leak = digit.pop("digit"), max(digit.values())
    return {
        **(own | {"digit": plain_own}),
        "digit, chance-corrected": own["digit"],
        **{f"{factor} leak": value for factor, value in (leak | {"digit": plain_leak}).items()},
        "digit leak, chance-corrected": leak["digit"],
    }


def normalised(images: Floats) -> Floats:
    """Return images [n, 192] without their colour: grey [n, 64] of length 1."""
    grey = images.reshape(-1, SIDE * SIDE, 3).sum(axis=2)
    return np.asarray(grey / np.maximum(np.linalg.norm(grey, axis=1, keepdims=True), 1e-6))
