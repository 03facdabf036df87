"""What labels may be."""

from typing import Any

import keras
import numpy as np
import pytest

from gyoza.data.labels import checked_correlations, checked_labels, checked_names

CLASSES: list[Any] = [
    [1, 2, 1],
    [True, False, True],
    ["a", "b", "a"],
    np.array([b"a", b"b", b"a"]),
    np.array([1, 2, 1], "uint8"),
    np.array(["a", "b", "a"], object),
    np.array([1, np.int8(2), True], object),
]


@pytest.mark.parametrize("classes", CLASSES)
def test_classes_stay_what_they_are(classes: Any) -> None:
    """Integers, booleans and strings are classes, in arrays or lists."""
    (found,) = checked_labels({"f": classes}).values()
    assert found.tolist() == np.asarray(classes).tolist()
    assert found.dtype.kind in "biuUS"


@pytest.mark.parametrize(
    "numbers",
    [[0.5, 1, 2], np.array([0.5, 1, 2], "float16"), [[0.5], [1.0], [2.0]], np.array([0.5, np.float32(1), 2], object)],
)
def test_floats_are_numbers(numbers: Any) -> None:
    """Floats of any width become float64 with one column or more."""
    (found,) = checked_labels({"f": numbers}).values()
    assert found.dtype == np.float64
    assert found.tolist() == [[0.5], [1], [2]]


def test_the_order_of_factors_is_kept() -> None:
    """Factors come out in the order in which they went in."""
    assert list(checked_labels({"b": [1, 2], "a": [1, 2]})) == ["b", "a"]


ROWS = [
    ([1, None, 2, None], "row=1, label=None"),
    (["a", "b", float("nan")], "row=2, label=nan"),
    ([[0.1, 0.2], [0.3, None]], "row=1, label=None"),
    ([[1.0], [1.0, 2.0]], r"row=0, label=\[1.0\]"),
    (np.array(["a", "", ""]), "row=1, label=''"),
    (np.array([b"", b"a"]), "row=0, label=''"),
    ([0.5, 0.1, np.inf], r"row=2, label=\[inf\]"),
    (np.array([[0.5, 1], [0.1, np.nan], [np.nan, 1]]), r"row=1, label=\[0.1, nan\]"),
]


@pytest.mark.parametrize(("labels", "received"), ROWS)
def test_missing_labels_are_refused_with_factor_and_row(labels: Any, received: str) -> None:
    """None, nan, infinity, the empty string, and what is no label: the first one is named."""
    with pytest.raises(ValueError, match=rf"labels\['size'\] must .*; leave out the rows .*Received: {received}"):
        checked_labels({"fine": [1, 2], "size": labels})


SHAPES = [
    ([], r"n ≥ 2 rows. Received: shape=\(0,\)"),
    ([1], r"n ≥ 2 rows. Received: shape=\(1,\)"),
    (3, r"n ≥ 2 rows. Received: shape=\(\)"),
    (np.zeros((3, 0)), r"n ≥ 2 rows. Received: shape=\(3, 0\)"),
    (np.zeros((3, 2, 1)), r"n ≥ 2 rows. Received: shape=\(3, 2, 1\)"),
    ([[1, 2], [3, 4]], r"make them floats if they are numbers. Received: shape=\(2, 2\), dtype=int64"),
    ([7, 7, 7], "at least two classes; leave the factor out. Received: only 7"),
    (["a", "a"], "at least two classes; leave the factor out. Received: only 'a'"),
    ([0.5, 0.5], "vary in every column; .*Received: column 0 is 0.5 throughout"),
    ([[1.0, 2], [3, 2]], "vary in every column; .*Received: column 1 is 2.0 throughout"),
]


@pytest.mark.parametrize(("labels", "message"), SHAPES)
def test_labels_without_two_values_are_refused(labels: Any, message: str) -> None:
    """Too few rows, wrong axes and constants make no pairs."""
    with pytest.raises(ValueError, match=rf"labels\['size'\] must .*{message}"):
        checked_labels({"size": labels})


@pytest.mark.parametrize("labels", [np.array([1j, 2j]), np.array(["2020", "2021"], "datetime64[Y]"), [2**70, 1]])
def test_other_types_are_refused(labels: Any) -> None:
    """Complex numbers, dates and integers of more than 64 bits are neither classes nor numbers."""
    with pytest.raises(TypeError, match=r"labels\['size'\] must be .* or floats for numbers. Received: dtype="):
        checked_labels({"size": labels})


def test_factors_have_as_many_rows() -> None:
    """The message gives the rows of every factor."""
    with pytest.raises(ValueError, match=r"one entry for each row in every factor. Received: rows={'a': 2, 'b': 3}"):
        checked_labels({"a": [1, 2], "b": [1, 2, 3]})


@pytest.mark.parametrize(
    ("labels", "kind", "message"),
    [
        ([1, 2], TypeError, "labels must map factor names to arrays. Received: labels of type <class 'list'>"),
        ({}, ValueError, "labels must hold at least one factor. Received: labels={}"),
        ({"a.b": [1, 2]}, ValueError, "A factor's name must match .*name='a.b'"),
        ({3: [1, 2]}, ValueError, "A factor's name must match .*name=3"),
        ({"a": [1, 2], "residual": [1, 2]}, ValueError, r"leave out 'residual'.*labels of \['a', 'residual'\]"),
    ],
)
def test_names_are_those_of_factors(labels: Any, kind: type[Exception], message: str) -> None:
    """Names follow gyoza.factors, and the residual is no label."""
    with pytest.raises(kind, match=message):
        checked_names(labels, "labels")


def test_correlations_are_one_for_all_or_one_each() -> None:
    """A number is that of every factor; a mapping may come in any order."""
    assert checked_correlations(0.5, ["a", "b"]) == {"a": 0.5, "b": 0.5}
    each: dict[str, Any] = {"b": np.float32(0.25), "a": 0.5}
    found = checked_correlations(each, ["a", "b"])
    assert list(found.items()) == [("a", 0.5), ("b", 0.25)]


@pytest.mark.parametrize(
    ("correlations", "kind", "message"),
    [
        ({"a": 0.5}, ValueError, r"hold each of \['a', 'b'\]. Received: correlations={'a': 0.5}"),
        ({"a": 0.5, "b": 0.5, "c": 0.5}, ValueError, r"hold each of \['a', 'b'\]"),
        (0, ValueError, r"between 0 and 1, both excluded. Received: correlations\['a'\]=0"),
        ({"a": 0.5, "b": 1.0}, ValueError, r"Received: correlations\['b'\]=1.0"),
        (float("nan"), ValueError, r"Received: correlations\['a'\]=nan"),
        ("0.5", TypeError, r"correlations must be numbers. Received: correlations\['a'\]='0.5'"),
        (True, TypeError, r"correlations must be numbers. Received: correlations\['a'\]=True"),
    ],
)
def test_other_correlations_are_refused(correlations: Any, kind: type[Exception], message: str) -> None:
    """A ρ is a number between 0 and 1, and every factor has one."""
    with pytest.raises(kind, match=message):
        checked_correlations(correlations, ["a", "b"])


def test_tensors_are_labels_too() -> None:
    """What knows its own way to an array, such as a tensor, is taken by it."""
    found = checked_labels(
        {"a": keras.ops.convert_to_tensor([1, 2, 1]), "b": keras.ops.convert_to_tensor([0.5, 1.0, 2.0])}
    )
    assert found["a"].tolist() == [1, 2, 1]
    assert found["b"].tolist() == [[0.5], [1.0], [2.0]]


def test_masked_labels_are_missing() -> None:
    """A mask says that labels are missing, whatever lies beneath it."""
    with pytest.raises(ValueError, match=r"must have a label in every row.*Received: a mask"):
        checked_labels({"a": np.ma.array([1, 2, 1], mask=[False, True, False])})
