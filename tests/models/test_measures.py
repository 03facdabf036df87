"""Measures give known answers on constructed arrays."""

import numpy as np
import pytest

from models.digits.linear import fit_linear_split
from models.digits.measures import (
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
from models.digits.report import mean, missed, reaches, table

RNG = np.random.default_rng(0)
SIZES = {"residual": 2, "digit": 9, "color": 3, "angle": 3}


def truth(count: int) -> Truth:
    """Random truth of ``count`` renders."""
    return Truth(RNG.integers(0, 10, count), RNG.uniform(0, 1, (count, 3)), RNG.uniform(-40, 40, count))


def blocks_of(known: Truth) -> dict[str, np.ndarray]:
    """Blocks that hold their own factor and nothing else."""
    means = np.random.default_rng(1).normal(0, 5, (10, 9))
    angle = np.repeat(known.angle[:, None] / 40, 3, axis=1)
    residual = RNG.normal(size=(len(known.digit), 2))
    return {"residual": residual, "digit": means[known.digit], "color": known.color, "angle": angle}


def test_probes_find_a_factor_where_it_is_and_nowhere_else() -> None:
    """On blocks that hold exactly their factor, each probe is right in its own block and at chance in the others."""
    shown, asked = truth(4000), truth(1000)
    scores = Probes(blocks_of(shown), shown).scores(blocks_of(asked), asked)
    assert scores["digit"]["digit"] == 1
    assert min(scores["color"]["color"], scores["angle"]["angle"]) > 0.98
    assert max(score for name, score in scores["digit"].items() if name != "digit") < 0.15
    assert max(scores["color"][name] for name in SIZES if name != "color") < 0.01
    assert max(scores["angle"][name] for name in SIZES if name != "angle") < 0.01


def test_accuracy_and_chance() -> None:
    """Accuracy counts; corrected for chance it is 0 for the commonest class, 1 for no mistake, never below 0."""
    classes = np.array([0, 0, 0, 1])
    assert accuracy(classes, np.zeros(4, int)) == 0.75
    assert [chance_corrected(value, classes) for value in (0.75, 1.0, 0.875, 0.2)] == [0, 1, 0.5, 0]


def test_r_squared() -> None:
    """R² is 1 for the truth, 0 for its mean, 0 for what is worse, and the mean over columns."""
    values = np.array([[0.0, 1.0], [1.0, 3.0], [2.0, 5.0]])
    average = np.tile(values.mean(axis=0), (3, 1))
    half = np.stack([values[:, 0], average[:, 1]], axis=1)
    assert [r_squared(values, reading) for reading in (values, average, half, -values)] == [1, 0, 0.5, 0]


def test_pair_correlation() -> None:
    """The correlation is 1 for equal blocks up to scale and shift, and near ρ for blocks made so."""
    one, noise = RNG.normal(size=(2, 20_000, 3))
    assert pair_correlation(one, 3 * one + 2) == pytest.approx(1)
    assert pair_correlation(one, 0.6 * one + 0.8 * noise) == pytest.approx(0.6, abs=0.02)


def test_split_and_join_undo_each_other() -> None:
    """Blocks come in the order and the sizes of the factors."""
    codes = RNG.normal(size=(5, 17))
    blocks = split(codes, SIZES)
    assert {name: block.shape for name, block in blocks.items()} == {name: (5, size) for name, size in SIZES.items()}
    np.testing.assert_array_equal(blocks["color"], codes[:, 11:14])
    np.testing.assert_array_equal(join(blocks), codes)


def test_a_swap_changes_one_block() -> None:
    """The donors' block comes in, everything else stays."""
    blocks = split(RNG.normal(size=(3, 17)), SIZES)
    swapped = swap(blocks, "color", np.array([2, 0, 1]))
    np.testing.assert_array_equal(swapped["color"], blocks["color"][[2, 0, 1]])
    assert all(swapped[name] is blocks[name] for name in ("residual", "digit", "angle"))


def test_donors_show_another_digit() -> None:
    """A donor is never of the same class."""
    classes = RNG.integers(0, 10, 1000)
    assert (classes[draw_donors(classes, seed=0)] != classes).all()


def test_the_linear_split_solves_what_is_linear() -> None:
    """Where latents are a rotation of clean blocks, the linear split finds each, inverts, and has the stated sizes."""
    shown = truth(5000)
    rotation, _ = np.linalg.qr(RNG.normal(size=(17, 17)))
    blocks = blocks_of(shown)
    noise = 0.1 * RNG.normal(size=(5000, 17))
    latents = (join(blocks) + noise) @ rotation
    fitted = fit_linear_split(latents, shown, SIZES)
    codes, logdet = fitted.encode(latents)
    np.testing.assert_allclose(fitted.invert(codes), latents, atol=1e-9)
    np.testing.assert_allclose(logdet, np.linalg.slogdet(fitted.matrix).logabsdet)
    scores = Probes(split(codes[:4000], SIZES), Truth(shown.digit[:4000], shown.color[:4000], shown.angle[:4000]))
    asked = Truth(shown.digit[4000:], shown.color[4000:], shown.angle[4000:])
    found = scores.scores(split(codes[4000:], SIZES), asked)
    assert found["digit"]["digit"] > 0.99
    assert found["color"]["color"] > 0.8
    assert found["digit"]["residual"] < 0.2


def test_the_report_compares_with_the_targets() -> None:
    """Targets have a direction; the table shows each seed, the mean and the baseline."""
    assert reaches(0.92, "≥ .92")
    assert not reaches(0.151, "≤ .15")
    rows = {0: {"digit": 0.9, "digit leak": 0.1}, 1: {"digit": 0.92, "digit leak": 0.2}}
    lines = table(rows, [{"digit": 0.8, "digit leak": 0.7}]).splitlines()
    assert lines[0] == "| measure | target | seed 0 | seed 1 | **mean** | linear |"
    assert lines[2] == "| digit | ≥ .92 | 0.900 | 0.920 | **0.910** | 0.800 |"
    assert mean(list(rows.values()))["digit leak"] == pytest.approx(0.15)


def test_a_missed_target_is_named() -> None:
    """What the mean does not reach is listed."""
    good = {"digit": 1, "color": 1, "angle": 1, "digit leak": 0.1, "color leak": 0.0, "angle leak": 0.0}
    good |= {"color swap follows": 1, "color swap keeps digit": 1, "digit swap follows": 1}
    assert missed(good) == []
    assert missed({**good, "angle": 0.5, "color leak": 0.06}) == ["angle", "color leak"]
