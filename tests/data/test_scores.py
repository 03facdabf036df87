"""Normal scores against scipy."""

import numpy as np
import pytest
from scipy.stats import norm, rankdata

from gyoza.data.scores import normal_quantiles, normal_scores


@pytest.mark.parametrize("count", [1, 2, 7, 10_000])
def test_quantiles_are_those_of_the_normal_distribution(count: int) -> None:
    """They are scipy's, and exactly odd."""
    found = normal_quantiles(count)
    np.testing.assert_allclose(found, norm.ppf((np.arange(count) + 0.5) / count), rtol=1e-12, atol=1e-15)
    np.testing.assert_array_equal(found, -found[::-1])


def test_scores_are_quantiles_of_ranks() -> None:
    """Each column by itself, whatever its distribution."""
    values = np.exp(3 * np.random.default_rng(0).standard_normal((500, 2)))
    found = normal_scores(values, np.random.default_rng(1))
    np.testing.assert_allclose(found, norm.ppf((rankdata(values, axis=0) - 0.5) / 500), rtol=1e-12)


def test_ties_get_different_scores_in_random_order() -> None:
    """Equal numbers share out the scores of their ranks, another seed otherwise, and larger numbers stay above."""
    values = np.repeat([1.0, 2.0], 50)[:, None]
    first, again, other = (normal_scores(values, np.random.default_rng(seed))[:, 0] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert not np.array_equal(first[:50], np.sort(first[:50]))
    for scores in (first, other):
        np.testing.assert_array_equal(np.sort(scores[:50]), normal_quantiles(100)[:50])
