"""Latents and labels from files: what each column is taken for, and what is refused."""

import pickle
import re
from pathlib import Path

import numpy as np
import pytest

from gyoza.data.files import read_labels, read_latents

TABLE = "digit,angle,word,color.1,color.0\n3,0.5,a,1,0.25\n5,-1e1,b,2,0.5\n\n"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A table of four factors, one of them in two columns."""
    path = tmp_path / "labels.csv"
    path.write_text(TABLE, encoding="utf-8-sig")
    return path


def test_columns_are_classes_or_numbers(table: Path) -> None:
    """Integers and text are classes, other numbers are numbers, numbered columns are one factor in their order."""
    found = read_labels(table)
    assert list(found) == ["digit", "angle", "word", "color"]
    assert [column.values.tolist() for column in found.values()] == [
        [3, 5],
        [0.5, -10.0],
        ["a", "b"],
        [[0.25, 1.0], [0.5, 2.0]],
    ]
    assert [column.is_continuous for column in found.values()] == [False, True, False, True]
    assert [column.is_numeric for column in found.values()] == [True, True, False, True]
    assert [column.distinct for column in found.values()] == [2, 2, 2, 2]


def test_what_a_column_is_can_be_told(table: Path) -> None:
    """Integers become numbers and numbers become classes where that is said."""
    found = read_labels(table, continuous=["digit"], classes=["angle"])
    assert found["digit"].values.tolist() == [3.0, 5.0]
    assert found["digit"].is_continuous
    assert found["angle"].values.tolist() == ["0.5", "-1e1"]
    assert read_labels(table, classes=["digit"])["digit"].values.tolist() == [3, 5]


def test_integers_too_large_for_numpy_are_classes(tmp_path: Path) -> None:
    """Nothing overflows or merges where integers have more digits than an int64 or a float64; told so, they are numbers."""
    path = tmp_path / "labels.csv"
    path.write_text(f"id\n{10**30}\n{10**30 + 1}\n1\n")
    assert read_labels(path)["id"].values.tolist() == [f"{10**30}", f"{10**30 + 1}", "1"]
    assert read_labels(path, continuous=["id"])["id"].values.tolist() == [1e30, 1e30, 1.0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must hold a line with the factors' names and one for each row"),
        ("a\n", "must hold a line with the factors' names and one for each row"),
        ("a,b\n1,2\n3\n", "line 3: a row must have 2 cells, as the first line has. Received: 1"),
        (
            "a,b\n1,2\n3,\n",
            "line 3: every row must have a label of every factor; leave out the rows that have none, in",
        ),
        ("a\n1\n\n2\n", "line 3: every row must have a label of every factor"),
        ('a,b\n"x\ny",2\n,3\n', "line 4: every row must have a label"),
        (
            ",a\n0,1\n",
            "pandas leaves out that of the index unless told to_csv(index=False). Received: no name for column 1",
        ),
        ("a,residual\n0,1\n", "must leave out 'residual'"),
        ("a,b c\n0,1\n", "line 1, column 2: A factor's name must match"),
        ("codes\n0\n", "line 1, column 1: A factor's name must match"),
        ("a,a\n0,1\n", "must name every factor once. Received: ['a', 'a']"),
        ("a,a.0\n0,1\n", "must name every factor once. Received: ['a', 'a.0']"),
        ("a.0,a\n0,1\n", "must name every factor once. Received: ['a.0', 'a']"),
        ("a.0,a.0\n0,1\n", "must name every factor once. Received: ['a.0', 'a.0']"),
        ("a.0,a.2\n0,1\n", "must number the columns of 'a' from 0 on: a.0, a.1, … Received: ['a.0', 'a.2']"),
        (
            "a\n1.5\nn/a\n",
            "line 3: a column must be all numbers or all text; mend the cell, or say --classes a if all are",
        ),
        ("a\n1\n1_000\n", "line 3: a column must be all numbers or all text"),
        ("a\n1.5\nnan\n", "line 3: a number must be finite; leave out the rows that have none. Received: a='nan'"),
        ("a.0,a.1\n1,2\n1,x\n", "line 3: a factor of numbers must have one in every row. Received: a='x'"),
        ("a;b\n1,5;2\n", "must have commas between its cells, not semicolons or tabs; save it as CSV with commas."),
        ("a\tb\n1\t2\n", "Received: 'a\\tb' as the first line"),
        ("cat,0.5\ndog,0.25\n", "must hold the factors' names in its first line; add a line with a name for each col"),
        ("0,1\n2,3\n", "Received: '0' in the first line"),
        ('a\n"1\n', "must be a table with commas (CSV) in UTF-8. It can't be read: unexpected end of data"),
    ],
)
def test_a_bad_table_is_refused(tmp_path: Path, text: str, message: str) -> None:
    """The message says what must hold, and names the file and its line."""
    path = tmp_path / "labels.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        read_labels(path)
    assert str(path) in str(caught.value)


def test_latents_are_no_labels(tmp_path: Path) -> None:
    """An array in the place of the table is told as what it is: the two files may be swapped."""
    np.save(tmp_path / "latents.npy", np.zeros((3, 2)))
    with pytest.raises(ValueError, match="the two files may be swapped: latents come first, then labels"):
        read_labels(tmp_path / "latents.npy")


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    """A file that is not UTF-8 is refused as such."""
    path = tmp_path / "labels.csv"
    path.write_bytes(b"a\n\xff\n")
    with pytest.raises(ValueError, match="in UTF-8"):
        read_labels(path)


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"continuous": ["colour"]}, "must name factors of"),
        ({"continuous": ["digit"], "classes": ["digit"]}, "each once"),
        ({"continuous": ["word"]}, "line 2: a factor of numbers must have one in every row. Received: word='a'"),
        ({"classes": ["color"]}, "must have one column for classes. Received: color in 2 columns"),
    ],
)
def test_what_a_column_can_not_be_is_refused(table: Path, told: dict[str, list[str]], message: str) -> None:
    """What is said about columns must fit them."""
    with pytest.raises(ValueError, match=re.escape(message)):
        read_labels(table, **told)


def test_latents_come_as_they_were_saved(tmp_path: Path) -> None:
    """An array keeps its shape, its dtype and its entries."""
    saved = np.random.default_rng(0).normal(size=(3, 2, 2))
    np.save(tmp_path / "latents.npy", saved)
    np.testing.assert_array_equal(read_latents(tmp_path / "latents.npy"), saved)


@pytest.mark.parametrize("shape", [(), (0, 3), (4, 0)])
def test_arrays_without_entries_or_axes_are_arrays(tmp_path: Path, shape: tuple[int, ...]) -> None:
    """What is no latents, but an array, is read as it is: others say what is wrong with it."""
    np.save(tmp_path / "latents.npy", np.zeros(shape))
    assert read_latents(tmp_path / "latents.npy").shape == shape


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3,",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000000,)}",
        f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({10**30},)}}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-3,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), 4: 5}",
        "(" * 9000,
        "?",
    ],
)
def test_a_damaged_header_is_refused(tmp_path: Path, header: str) -> None:
    """A header that is cut off, or promises what the file does not hold, is refused before memory is taken for it."""
    path = tmp_path / "latents.npy"
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode())
    with pytest.raises(ValueError, match=re.escape(f"{path} must hold a whole array of floats, saved by numpy.save.")):
        read_latents(path)


def test_what_is_no_array_is_refused(tmp_path: Path) -> None:
    """Archives, pickles, objects, other files and halves are refused, and nothing is ever unpickled."""
    path = tmp_path / "latents.npy"
    np.savez(tmp_path / "latents.npz", a=np.zeros(3))
    with pytest.raises(ValueError, match=re.escape("Received: an archive, as of numpy.savez")):
        read_latents(tmp_path / "latents.npz")
    for content, kind in ((pickle.dumps([1]), "a pickle, which is never loaded"), (b"a,b\n", "something else")):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=f"Received: {kind}"):
            read_latents(path)
    np.save(path, np.array([None, 1]), allow_pickle=True)
    with pytest.raises(ValueError, match="must hold a whole array of floats"):
        read_latents(path)
    np.save(path, np.zeros(100))
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(ValueError, match="must hold a whole array of floats"):
        read_latents(path)
