"""Pairs of rows share what they say that they share."""

from typing import Any

import numpy as np
import pytest

from gyoza.data import PairSampler

CORRELATIONS = {"digit": 0.75, "size": 0.5, "round": 0.25}


def labels(rows: int = 300) -> dict[str, Any]:
    """Labels of two factors of classes and one of numbers between them."""
    draw = np.random.default_rng(0)
    return {"digit": draw.integers(0, 4, rows), "size": draw.uniform(size=rows), "round": draw.uniform(size=rows) < 0.3}


def test_correlations_name_what_a_pair_shares() -> None:
    """ρ stands where classes are equal, by chance too, and where it is the turn of numbers; the residual's is 0."""
    given = labels()
    pairs = PairSampler(given, correlations=CORRELATIONS).draw(602, np.random.default_rng(1), first=1)
    turns = (1 + np.arange(602)) % 3
    expected = np.zeros((602, 4), np.float32)
    for place, name in ((1, "digit"), (3, "round")):
        equal = given[name][pairs.one] == given[name][pairs.two]
        assert equal[turns == place - 1].all()
        assert not equal[turns != place - 1].all()
        expected[:, place] = np.where(equal, CORRELATIONS[name], 0)
    expected[:, 2] = np.where(turns == 1, 0.5, 0)
    np.testing.assert_array_equal(pairs.correlations, expected)
    assert pairs.correlations.dtype == np.float32
    assert (pairs.one != pairs.two).all()


def test_numbers_correlate_only_in_their_turn() -> None:
    """Pairs whose turn it is correlate in the ranks of the numbers, the others do not."""
    given = labels(3000)
    pairs = PairSampler(given, correlations=0.9).draw(30_000, np.random.default_rng(1))
    one, two = given["size"][pairs.one], given["size"][pairs.two]
    # Of uniform numbers in a Gaussian copula: 6/π asin(ρ/2).
    assert np.corrcoef(one[1::3], two[1::3])[0, 1] == pytest.approx(0.8915, abs=0.01)
    assert np.corrcoef(one[::3], two[::3])[0, 1] == pytest.approx(0, abs=0.04)


@pytest.mark.parametrize("count", [1, 2, 5, 7])
def test_batches_in_a_row_give_every_factor_its_share(count: int) -> None:
    """In each batch, and over all batches so far, the factors' shares differ by one pair at most."""
    # Numbers only: where classes are equal by chance the turn could not be told from the correlations.
    draw = np.random.default_rng(0)
    sampler = PairSampler({name: draw.uniform(size=50) for name in "abc"})
    total = np.zeros(3, int)
    for batch in range(6):
        shares = (sampler.draw(count, draw, first=batch * count).correlations[:, 1:] > 0).sum(axis=0)
        total += shares
        assert shares.sum() == count
        assert max(np.ptp(shares), np.ptp(total)) <= 1


def test_several_numbers_a_row_do_as_well() -> None:
    """A factor of several columns counts as one, also in batches without a turn for it."""
    draw = np.random.default_rng(0)
    sampler = PairSampler({"color": draw.uniform(size=(50, 3)), "digit": draw.integers(0, 3, 50)})
    assert sampler.draw(8, draw).correlations.shape == (8, 3)
    assert sampler.draw(1, draw, first=1).correlations[0, 1] == 0


def test_the_same_randomness_gives_the_same_pairs() -> None:
    """The rows depend on the labels, the seed, the generator's state and the turn."""
    sampler = PairSampler(labels())
    first, again, other = (sampler.draw(50, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal([first.one, first.two], [again.one, again.two])
    assert not np.array_equal(first.one, other.one)


def test_ties_are_broken_by_the_seed() -> None:
    """Equal numbers rank otherwise with another seed, and the same with the same."""
    tied = {"size": np.repeat([0.0, 1.0], 100)}
    partners = [PairSampler(tied, seed=seed).draw(50, np.random.default_rng(0)).two for seed in (0, 0, 1)]
    np.testing.assert_array_equal(partners[0], partners[1])
    assert not np.array_equal(partners[0], partners[2])


def test_pairs_of_one_factor_share_it() -> None:
    """All of them, each another row of the class."""
    given = labels()
    one, two = PairSampler(given).draw_sharing("digit", 100, np.random.default_rng(0))
    assert one.shape == two.shape == (100,)
    assert (given["digit"][one] == given["digit"][two]).all()
    assert (one != two).all()


def test_an_unknown_factor_is_refused() -> None:
    """The message says which there are; the residual is none that pairs share."""
    with pytest.raises(ValueError, match=r"one of \['digit', 'size', 'round'\]. Received: factor='residual'"):
        PairSampler(labels()).draw_sharing("residual", 1, np.random.default_rng(0))


def test_it_says_what_it_holds() -> None:
    """Rows, factors in the order of the columns, and correlations can be read."""
    sampler = PairSampler(labels(), correlations=CORRELATIONS)
    assert sampler.rows == 300
    assert sampler.factors == ("residual", "digit", "size", "round")
    assert sampler.correlations == CORRELATIONS


def test_the_factor_without_pairs_is_named() -> None:
    """Of several factors the one whose classes have one row each."""
    with pytest.raises(ValueError, match=r"labels\['id'\] must have a class with at least two rows"):
        PairSampler({**labels(), "id": np.arange(300)})
