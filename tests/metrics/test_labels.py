"""Labels are told apart as classes and quantities, and refused where nothing can be read from them."""

from typing import Any

import numpy as np
import pytest

from gyoza.metrics.labels import Classes, Quantities, as_labels, check_alike, check_own_blocks, discretise


@pytest.mark.parametrize(
    "values", [[2, 0, 2], ["red", "blue", "red"], [True, False, True], np.array(["red", "blue", "red"], object)]
)
def test_integers_strings_and_booleans_are_classes(values: Any) -> None:
    """Classes are sorted, are one-hot as targets, and are what decoding gives back."""
    factor = as_labels({"f": values}, 3, "labels")["f"]
    assert isinstance(factor, Classes)
    np.testing.assert_array_equal(factor.names, sorted(set(values)))
    np.testing.assert_array_equal(factor.targets(), [[0, 1], [1, 0], [0, 1]])
    np.testing.assert_array_equal(factor.decode(factor.targets()), values)
    np.testing.assert_array_equal(factor.discrete(7), [[1, 0, 1]])


@pytest.mark.parametrize("values", [[0.5, 1.0, 2.0], [[0.5, 1.0], [1.0, 2.0], [0.0, 1.0]]])
def test_floats_are_quantities(values: Any) -> None:
    """Quantities are their own targets, column by column, and decoding gives back their shape."""
    factor = as_labels({"f": values}, 3, "labels")["f"]
    assert isinstance(factor, Quantities)
    assert factor.targets().shape == (3, np.size(values) // 3)
    np.testing.assert_array_equal(factor.decode(factor.targets()), values)


def test_the_first_of_equal_votes_wins() -> None:
    """A tie is decided by the order of the classes, never by chance."""
    assert Classes(np.array(["b", "a"])).decode(np.array([[0.5, 0.5]])).tolist() == ["a"]


def test_bins_are_equally_wide_and_hold_everything() -> None:
    """Counts per bin are those of NumPy's histogram, the largest number included, and a constant lies in one bin."""
    column = np.random.default_rng(0).normal(size=1000)
    found = np.bincount(discretise(column, 20), minlength=20)
    np.testing.assert_array_equal(found, np.histogram(column, 20)[0])
    assert len(set(discretise(np.full(5, 3.0), 20).tolist())) == 1


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ([1j, 2j], TypeError, r"labels\['f'\] must hold classes \(int, str or bool\) or quantities \(float\)"),
        (np.array([None, "a"], object), TypeError, r"Received: labels\['f'\].dtype=object"),
        (
            [1, 2, 3],
            ValueError,
            r"shape \[2\] \(several columns must be floats\). Received: labels\['f'\].shape=\(3,\)",
        ),
        ([[1, 2], [3, 4]], ValueError, r"several columns must be floats"),
        ([1.0, 2.0, 3.0], ValueError, r"shape \[2\] or \[2, d\]"),
        (np.zeros((2, 1, 1)), ValueError, r"shape \[2\] or \[2, d\]"),
        (np.zeros((2, 0)), ValueError, r"shape \[2\] or \[2, d\]"),
        ([1.0, np.nan], ValueError, r"labels\['f'\] must hold finite numbers only.*Received: labels\['f'\]\[1\]=nan"),
        (["a", "a"], ValueError, r"labels\['f'\] must vary in every column.*Received: a in every row"),
        ([[1.0, 2.0], [0.0, 2.0]], ValueError, r"must vary in every column"),
    ],
)
def test_labels_that_make_no_sense_are_refused(values: Any, error: type[Exception], message: str) -> None:
    """The kind, the shape, what is not finite and what does not vary is named."""
    with pytest.raises(error, match=message):
        as_labels({"f": values}, 2, "labels")


def test_no_labels_are_refused() -> None:
    """There is something to read."""
    with pytest.raises(ValueError, match=r"labels of at least one factor. Received: labels=\{\}"):
        as_labels({}, 2, "labels")


def test_a_factor_without_a_block_is_refused() -> None:
    """The error names the factor and the blocks that there are."""
    with pytest.raises(ValueError, match=r"block of its own name.*Received: factors=\['size'\], blocks=\['residual'\]"):
        check_own_blocks(["size"], ["residual"])


@pytest.mark.parametrize("other", [["a", "b"], [b"a", b"b"], [0.0, 1.0], [[0.0], [1.0]]])
def test_forms_must_be_alike(other: Any) -> None:
    """Integers, strings, bytes, numbers and rows of numbers can't be compared with each other."""
    known, asked = as_labels({"f": [0, 1]}, 2, "labels"), as_labels({"f": other}, 2, "labels")
    check_alike(known, known)
    check_alike(asked, asked)
    with pytest.raises(ValueError, match=r"be of the same form. Received: training=\{'f': 'integers'\}, test="):
        check_alike(known, asked)


def test_factors_must_be_the_same() -> None:
    """A factor that was never learnt can't be measured."""
    known, asked = as_labels({"f": [0, 1]}, 2, "labels"), as_labels({"g": [0, 1]}, 2, "labels")
    with pytest.raises(ValueError, match=r"must name the same factors"):
        check_alike(known, asked)
