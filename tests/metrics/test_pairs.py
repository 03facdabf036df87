"""Pairs are correlated as NumPy says, and as much as they were made to be."""

from typing import Any

import numpy as np
import pytest

from gyoza.metrics import pair_correlation, pair_correlations

RNG = np.random.default_rng(0)


def test_each_entry_has_pearsons_correlation() -> None:
    """Entry by entry it is numpy.corrcoef, whatever the scales and shifts."""
    a, b = RNG.normal(size=(2, 50, 4))
    expected = [np.corrcoef(a[:, entry], b[:, entry])[0, 1] for entry in range(4)]
    np.testing.assert_allclose(pair_correlation(a, b), expected)
    np.testing.assert_allclose(pair_correlation(3 * a - 7, 0.1 * b), expected)


def test_it_is_rho_where_pairs_are_made_so() -> None:
    """Entries that share the part ρ are correlated by about ρ."""
    one, noise = RNG.normal(size=(2, 20_000, 3))
    np.testing.assert_allclose(pair_correlation(one, 0.6 * one + 0.8 * noise), 0.6, atol=0.02)


def test_an_entry_that_does_not_vary_is_correlated_with_nothing() -> None:
    """It counts 0, not NaN."""
    a = np.stack([np.arange(5.0), np.ones(5)], axis=1)
    np.testing.assert_allclose(pair_correlation(a, a), [1, 0])


def test_shapes_must_agree() -> None:
    """A pair has two halves."""
    with pytest.raises(ValueError, match=r"same shape. Received: a.shape=\(3, 2\), b.shape=\(2, 2\)"):
        pair_correlation(np.zeros((3, 2)), np.zeros((2, 2)))


def test_the_matrix_says_what_is_shared_where() -> None:
    """Pairs that share one factor are correlated in its block alone, and a leak shows in its column."""
    a, b = RNG.normal(size=(2, 5000, 2))
    leak = (a + b) / np.sqrt(2)
    pairs = {
        "digit": ({"residual": a, "digit": a, "color": a}, {"residual": leak, "digit": a, "color": b}),
        "color": ({"residual": a, "digit": a, "color": a}, {"residual": b, "digit": b, "color": -a}),
    }
    found = pair_correlations(pairs)
    np.testing.assert_allclose(found.values, np.array([[0.71, 1, 0], [0, 0, -1]]), atol=0.04)
    assert found.own == pytest.approx({"digit": 1, "color": -1})
    assert (found.factors, found.blocks) == (("digit", "color"), ("residual", "digit", "color"))
    assert str(found) == found.table()
    assert found.table().splitlines()[0] == "| shared | residual | digit |  color |"
    assert found.table().splitlines()[2].startswith("| digit  |")
    assert found.table().splitlines()[3].endswith(" | -1.000 |")


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ({}, r"at least one shared factor. Received: pairs=\{\}"),
        (
            {"a": ({"a": RNG.normal(size=(3, 1))}, {"b": RNG.normal(size=(3, 1))})},
            r"same blocks in the same order.*\['a'\]",
        ),
        ({"a": ({"b": RNG.normal(size=(3, 1))},) * 2}, r"block of its own name"),
        (
            {"a": ({"a": RNG.normal(size=(3, 1))},) * 2, "b": ({"b": RNG.normal(size=(3, 1))},) * 2},
            r"same blocks for every factor. Received: blocks=\[\('a',\), \('b',\)\]",
        ),
    ],
)
def test_pairs_that_do_not_fit_are_refused(pairs: dict[str, Any], message: str) -> None:
    """There are pairs, of the same blocks throughout, the shared factors' own among them."""
    with pytest.raises(ValueError, match=message):
        pair_correlations(pairs)
