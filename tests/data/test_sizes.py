"""Factor sizes against numbers worked by hand."""

from typing import Any

import numpy as np
import pytest

from gyoza.data import estimate_factor_sizes
from gyoza.data.sizes import share_entries

# Four latents with mean 0; each entry is +1 or -1, with variance 1, and the columns are uncorrelated.
A = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]], "float32")


def test_scores_are_common_variance_by_hand() -> None:
    """Σ Cov / Σ Var: two of three entries shared are 2/3; one shared and one opposed 0; shifts do not matter."""
    pairs = {
        "two": (A + 5, A[:, [0, 1, 2]] * [1, 1, -1] * [1, 1, 0] - 3),
        "none": (A, A * [1, -1, 0]),
        "opposed": (A, -A),
    }
    pairs = {name: (np.tile(a, 2).astype("float64"), np.tile(b, 2).astype("float64")) for name, (a, b) in pairs.items()}
    found = estimate_factor_sizes(pairs)
    # two: Cov = 1 + 1 + 0, Var = ½ (3 + 2): 4/5.
    assert found.scores == pytest.approx({"residual": 1.0, "two": 0.8, "none": 0.0, "opposed": -1.0})
    # e^1, e^.8, 1, e^-1 = 2.718, 2.226, 1, .368; of 6.312 that is .431, .353, .158, .058; times 6: 2.58, 2.12, .95, .35.
    assert found.sizes == {"residual": 2, "two": 2, "none": 1, "opposed": 1}
    assert list(found.sizes) == list(found.scores) == ["residual", "two", "none", "opposed"]


def test_scores_weigh_entries_by_their_variance() -> None:
    """An entry that varies ten times as much counts a hundred times; one that does not vary counts nothing."""
    b = A * [1, -1, 0]
    scale = [10, 1, 0]
    found = estimate_factor_sizes({"f": (A * scale, b * scale)})
    assert found.scores["f"] == pytest.approx((100 - 1) / (100 + 1))


def test_the_published_sizes_come_out() -> None:
    """Scores of .106 and .366 give ColorMNIST's published 13, 17 and the residual's 34 of 64."""
    assert share_entries({"residual": 1.0, "digit": 0.106, "color": 0.366}, 64) == {
        "residual": 34,
        "digit": 13,
        "color": 17,
    }


def test_float32_means_do_not_spoil_the_scores() -> None:
    """A large common offset is taken off in float64."""
    draw = np.random.default_rng(0).integers(-8, 9, (20_000, 2)).astype("float32")
    other = np.random.default_rng(1).integers(-8, 9, (20_000, 2)).astype("float32")
    plain, shifted = (estimate_factor_sizes({"f": (draw + s, other + s)}).scores["f"] for s in (0, 100_000))
    assert shifted == pytest.approx(plain, abs=1e-9)


@pytest.mark.parametrize("count", [1, 2, 5, 12])
@pytest.mark.parametrize("spare", [0, 1, 7])
def test_sizes_always_add_up_and_leave_none_empty(count: int, spare: int) -> None:
    """However few entries there are and whatever the scores, each factor gets one and all add up to D."""
    draw = np.random.default_rng(count)
    for scores in [*draw.uniform(-1, 1, (50, count)), np.repeat([1.0, -1.0], [count // 2, count - count // 2])]:
        named = {"residual": 1.0, **{str(place): float(score) for place, score in enumerate(scores)}}
        sizes = share_entries(named, count + 1 + spare)
        assert min(sizes.values()) >= 1
        assert sum(sizes.values()) == count + 1 + spare


def test_the_largest_factor_gives_to_an_empty_residual() -> None:
    """Of five entries, shares of 2.08 and thrice .28 leave the residual nothing: the largest gives one up."""
    scores = {"residual": 1.0, "a": 1.0, "b": -1.0, "c": -1.0, "d": -1.0}
    assert share_entries(scores, 5) == {"residual": 1, "a": 1, "b": 1, "c": 1, "d": 1}


def test_latents_of_several_axes_are_flattened() -> None:
    """D is the number of all entries of a latent."""
    a, b = np.random.default_rng(0).standard_normal((2, 10, 3, 4))
    flat = a.reshape(10, 12), b.reshape(10, 12)
    assert estimate_factor_sizes({"f": (a, b)}) == estimate_factor_sizes({"f": flat})


@pytest.mark.parametrize(
    ("pairs", "kind", "message"),
    [
        ([A, A], TypeError, "pairs must map factor names to arrays"),
        ({}, ValueError, "pairs must hold at least one factor"),
        ({"residual": (A, A)}, ValueError, "pairs must leave out 'residual'"),
        ({"f": A}, ValueError, r"pairs\['f'\] must be a tuple \(a, b\) of latents. Received: <class 'numpy.ndarray'>"),
        ({"f": (A,)}, ValueError, r"pairs\['f'\] must be a tuple \(a, b\) of latents. Received: <class 'tuple'>"),
        ({"f": (A, A[:3])}, ValueError, r"same shape twice. Received: shapes \(4, 3\) and \(3, 3\)"),
        ({"f": (A[:1], A[:1])}, ValueError, r"n ≥ 2 rows. Received: pairs\['f'\]\[0\].shape=\(1, 3\)"),
        ({"f": (A, A * np.nan)}, ValueError, r"pairs\['f'\]\[1\] must be finite; .*pairs\['f'\]\[1\]\[0\] is not"),
        ({"f": (A * 0 + 2, A * 0 + 2)}, ValueError, r"pairs\['f'\] must have latents that vary"),
        ({"f": (A, A), "g": (A[:, :2], A[:, :2])}, ValueError, r"of one size. Received: sizes={'f': 3, 'g': 2}"),
        (dict.fromkeys("abc", (A, A)), ValueError, r"at least 4 entries, .*3 entries, pairs of \['a', 'b', 'c'\]"),
    ],
)
def test_other_pairs_are_refused(pairs: Any, kind: type[Exception], message: str) -> None:
    """The message names the factor and says what must hold."""
    with pytest.raises(kind, match=message):
        estimate_factor_sizes(pairs)


def test_the_result_is_frozen() -> None:
    """Nobody puts another mapping in its place."""
    found = estimate_factor_sizes({"f": (A, A)})
    with pytest.raises(AttributeError):
        found.sizes = {}  # type: ignore[misc]
