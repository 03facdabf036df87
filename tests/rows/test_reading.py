"""Rows come out of files as NumPy and the safetensors library read them, a few at a time."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from safetensors.numpy import save_file

from gyoza.rows import open_rows
from gyoza.rows.reading import DTYPES

REAL = ["f2", "f4", "f8", ">f4", ">f8", "i1", "u2", "<i8", ">u4"]
SHAPES = [(7,), (7, 3), (7, 2, 3), (7, 2, 3, 4), (7, 0)]


def read_in_pieces(path: Path, name: str, step: int) -> np.ndarray:
    """All rows of an array, read so many at a time."""
    with open_rows(path, name) as file:
        count = len(file.arrays[name])
        pieces = [file.read(name, start, min(start + step, count)) for start in range(0, count, step)]
    return np.concatenate(pieces)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", REAL)
def test_arrays_of_numpy(tmp_path: Path, dtype: str, order: Any, shape: tuple[int, ...]) -> None:
    """An array of any real dtype, byte order and order of axes comes out as it was saved, whatever the pieces."""
    saved = np.arange(np.prod(shape)).reshape(shape).astype(dtype, order=order)
    np.save(tmp_path / "a.npy", saved)
    for step in (1, 3, 7, 100):
        found = read_in_pieces(tmp_path / "a.npy", "latents", step)
        assert found.dtype == saved.dtype.newbyteorder("=")
        np.testing.assert_array_equal(found, saved)


@given(data=st.data(), step=st.integers(1, 9))
def test_any_array(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, step: int) -> None:
    """Whatever the shape, pieces make up the whole, also of arrays that lie in columns."""
    shape = data.draw(arrays.array_shapes(min_dims=1, max_dims=4, max_side=5))
    saved = data.draw(arrays.arrays(np.float32, shape, elements=st.floats(-9, 9, width=32)))
    path = tmp_path_factory.mktemp("rows") / "a.npy"
    for array in (saved, np.asfortranarray(saved)):
        np.save(path, array)
        np.testing.assert_array_equal(read_in_pieces(path, "x", step), saved)


@pytest.mark.parametrize("name", DTYPES)
def test_arrays_of_safetensors(tmp_path: Path, name: str) -> None:
    """An array of every dtype that is named comes out, wherever in the file it lies, by its name."""
    saved = {
        "first": np.ones((2, 2), np.float64),
        "latents": np.arange(12).reshape(4, 3).astype(DTYPES[name]),
        "scalar": np.float32(3),
        "flags": np.ones(3, bool),
    }
    save_file({key: np.asarray(value) for key, value in saved.items()}, tmp_path / "a.safetensors", {"model": "m"})
    np.testing.assert_array_equal(read_in_pieces(tmp_path / "a.safetensors", "latents", 3), saved["latents"])
    with open_rows(tmp_path / "a.safetensors", "unused") as file:
        assert set(file.arrays) == {"first", "latents"}
        assert file.arrays["first"].row_shape == (2,)


@pytest.mark.parametrize("dtype", [bool, complex, "U3", "M8[s]", [("a", "f4")]])
def test_what_is_no_real_number_is_refused(tmp_path: Path, dtype: Any) -> None:
    """An array of something else than real numbers is refused, and how to convert it is told."""
    np.save(tmp_path / "a.npy", np.zeros((2, 3), dtype))
    with pytest.raises(ValueError, match=r"must hold real numbers.* such as by array\.astype"):
        read_in_pieces(tmp_path / "a.npy", "latents", 1)


def test_objects_are_never_unpickled(tmp_path: Path) -> None:
    """An array of objects is refused before anything in it is."""
    np.save(tmp_path / "a.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(ValueError, match="It can't be read"):
        read_in_pieces(tmp_path / "a.npy", "latents", 1)


def test_a_lone_number_has_no_rows(tmp_path: Path) -> None:
    """An array without axes is refused."""
    np.save(tmp_path / "a.npy", np.float32(1))
    with pytest.raises(ValueError, match="with an axis for the rows"):
        read_in_pieces(tmp_path / "a.npy", "latents", 1)


@pytest.mark.parametrize("name", ["a.npy", "a.safetensors"])
def test_damaged_files(tmp_path: Path, name: str) -> None:
    """A file that was cut off, or is something else, is refused by its path."""
    path = tmp_path / name
    saved = np.zeros((100, 3), np.float32)
    np.save(path, saved) if path.suffix == ".npy" else save_file({"latents": saved}, path)
    whole = path.read_bytes()
    for content in (whole[:-1], whole[:50], b"", b"PK\x03\x04", b"\xff" * 100):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=rf"{path} must "):
            read_in_pieces(path, "latents", 1)


@pytest.mark.parametrize("name", ["a.npy", "a.safetensors"])
def test_a_file_that_is_cut_short_meanwhile(tmp_path: Path, name: str) -> None:
    """Cutting a file short while it is read is told, and does not end the process."""
    path = tmp_path / name
    saved = np.zeros((1000, 300), np.float32)
    np.save(path, saved) if path.suffix == ".npy" else save_file({"latents": saved}, path)
    with open_rows(path, "latents") as file:
        file.read("latents", 0, 10)
        os.truncate(path, 10_000)
        with pytest.raises(ValueError, match=r"must stay as it is while it is read; read it again.* it was cut short"):
            file.read("latents", 500, 600)


def test_paths_that_are_no_files(tmp_path: Path) -> None:
    """Another ending, a missing file, a folder and a pipe are told apart; nothing waits for the pipe."""
    with pytest.raises(ValueError, match=r"must end in \.npy or \.safetensors"), open_rows(tmp_path / "a.csv", "x"):
        raise AssertionError
    with pytest.raises(FileNotFoundError), open_rows(tmp_path / "a.npy", "x"):
        raise AssertionError
    (tmp_path / "b.npy").mkdir()
    with pytest.raises(OSError, match="Is a directory"), open_rows(tmp_path / "b.npy", "x"):
        raise AssertionError
    os.mkfifo(tmp_path / "c.npy")
    with pytest.raises(ValueError, match=r"c\.npy can't be read: .* a pipe"), open_rows(tmp_path / "c.npy", "x"):
        raise AssertionError
