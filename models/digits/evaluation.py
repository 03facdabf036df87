"""What a split of the host's latents is worth on digits that nothing was fitted to."""

from typing import Protocol

import numpy as np
from sklearn.svm import SVC

from models.digits.data import SIDE, Digits, Floats, Integers, Settings, draw_repeated, render
from models.digits.flow import FACTORS
from models.digits.host import Host
from models.digits.measures import (
    Blocks,
    Probes,
    Truth,
    accuracy,
    chance_corrected,
    draw_donors,
    join,
    pair_correlation,
    r_squared,
    split,
    swap,
)
from models.digits.pairs import PairSource

TRAINING_REPEATS = 8
REPEATS = 4
PAIRS = 2000
SEEDS = {"training": 1001, "measured": 1002, "donors": 1003, "pairs": 1004}
"""The same for every model: all are measured on the same renders."""


class Split(Protocol):
    """An invertible map from latents to codes, learnt or linear."""

    def encode(self, latents: Floats) -> tuple[Floats, Floats]:
        """Map latents [n, 32] to codes [n, 32] and logdet [n]."""

    def invert(self, codes: Floats) -> Floats:
        """Map codes [n, 32] to latents [n, 32]."""


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
        self.training = truth_of(training, shown)
        self.training_latents = host.encode(images)
        self.measured = truth_of(measured, asked)
        self.measured_images = render(measured, asked)
        self.measured_latents = host.encode(self.measured_images)
        self.donors = draw_donors(self.measured.digit, SEEDS["donors"])
        self.judge = SVC(C=10).fit(normalised(images), self.training.digit)
        self._digits = measured

    def measure(self, split: Split) -> dict[str, float]:
        """Return every measure of a split by name."""
        probes = Probes(self.blocks(split, self.training_latents), self.training)
        blocks = self.blocks(split, self.measured_latents)
        return {
            **self.measure_blocks(probes, blocks),
            **self.measure_swaps(split, probes, blocks),
            **self.measure_pairs(split),
            "residual digit, SVM": self.measure_residual(split, blocks),
            **{f"{name} std": float(np.mean(block.std(axis=0))) for name, block in blocks.items()},
        }

    def blocks(self, split_: Split, latents: Floats) -> dict[str, Floats]:
        """Return the blocks of the codes of latents [n, 32]."""
        return split(split_.encode(latents)[0], FACTORS)

    def measure_blocks(self, probes: Probes, blocks: Blocks) -> dict[str, float]:
        """Return what the probes read from each block: its own factor, and the worst leak of each into another."""
        scores = probes.scores(blocks, self.measured)
        leaks = {factor: max(score for name, score in row.items() if name != factor) for factor, row in scores.items()}
        digit = scores["digit"]["digit"]
        return {
            **{factor: row[factor] for factor, row in scores.items()},
            "digit, chance-corrected": chance_corrected(digit, self.measured.digit),
            **{f"{factor} leak": leak for factor, leak in leaks.items()},
            "digit leak, chance-corrected": chance_corrected(leaks["digit"], self.measured.digit),
        }

    def measure_swaps(self, split: Split, probes: Probes, blocks: Blocks) -> dict[str, float]:
        """Return what is read after one factor came from a donor that shows another digit."""
        truth, donors, own = self.measured, self.donors, blocks
        color_images, color = self._reencode(split, swap(own, "color", donors))
        digit_images, digit = self._reencode(split, swap(own, "digit", donors))
        donor_color, angle = probes.read("color", own)[donors], probes.read("angle", own)
        kept, follows = probes.read("digit", color), probes.read("digit", digit)
        return {
            "color swap follows": r_squared(donor_color, probes.read("color", color)),
            "color swap follows, true color": r_squared(truth.color[donors], probes.read("color", color)),
            "color swap keeps digit": accuracy(truth.digit, kept),
            "color swap keeps digit, as read before": accuracy(probes.read("digit", own), kept),
            "color swap keeps digit, SVM on pixels": self._judge(color_images, truth.digit),
            "digit swap follows": accuracy(truth.digit[donors], follows),
            "digit swap follows, as read before": accuracy(probes.read("digit", own)[donors], follows),
            "digit swap follows, SVM on pixels": self._judge(digit_images, truth.digit[donors]),
            "digit swap keeps color": r_squared(probes.read("color", own), probes.read("color", digit)),
            "digit swap keeps angle": r_squared(angle, probes.read("angle", digit)),
        }

    def measure_pairs(self, split: Split) -> dict[str, float]:
        """Return for each factor how correlated its block is over pairs that share that factor alone."""
        source = PairSource(self._digits, SEEDS["pairs"])
        correlations = {}
        for column, factor in enumerate(("digit", "color", "angle")):
            shared = np.zeros((PAIRS, 3), bool)
            shared[:, column] = True
            one, two = (
                self.blocks(split, self.host.encode(render(self._digits, settings)))[factor]
                for settings in source.settings(shared)
            )
            correlations[f"{factor} pair correlation"] = pair_correlation(one, two)
        return correlations

    def measure_residual(self, split: Split, blocks: Blocks) -> float:
        """Return the accuracy of a stronger probe, a support vector machine, on the digit in the residual."""
        training = self.blocks(split, self.training_latents)["residual"]
        probe = SVC(C=10).fit(training, self.training.digit)
        return accuracy(self.measured.digit, probe.predict(blocks["residual"]))

    def _reencode(self, split: Split, blocks: Blocks) -> tuple[Floats, dict[str, Floats]]:
        images = self.host.decode(split.invert(join(blocks)))
        return images, self.blocks(split, self.host.encode(images))

    def _judge(self, images: Floats, classes: Integers) -> float:
        return accuracy(classes, self.judge.predict(normalised(images)))


def truth_of(digits: Digits, settings: Settings) -> Truth:
    """Return what renders with these settings show."""
    return Truth(digits.classes[settings.index], settings.color, settings.angle)


def normalised(images: Floats) -> Floats:
    """Return images [n, 192] without their colour: grey [n, 64] of length 1."""
    grey = images.reshape(-1, SIDE * SIDE, 3).sum(axis=2)
    return np.asarray(grey / np.maximum(np.linalg.norm(grey, axis=1, keepdims=True), 1e-6))
