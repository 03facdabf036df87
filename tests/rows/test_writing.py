"""Rows that are written a few at a time are files that NumPy and the safetensors library read."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file

from gyoza.rows import open_rows, writing_rows

SHAPES: dict[str, tuple[int, ...]] = {"codes": (7, 3), "logdet": (7,), "factors.a": (7, 2, 2)}


def some(dtype: Any = "f4") -> dict[str, np.ndarray]:
    """Arrays of those shapes."""
    random = np.random.default_rng(0)
    return {name: random.standard_normal(shape).astype(dtype) for name, shape in SHAPES.items()}


def write(path: Path, arrays: dict[str, np.ndarray], step: int, dtype: Any = "f4", **options: Any) -> None:
    """Write arrays so many rows at a time."""
    shapes = {name: array.shape for name, array in arrays.items()}
    with writing_rows(path, shapes, np.dtype(dtype), "codes", **options) as file:
        for start in range(0, 7, step):
            file.write({name: array[start : start + step] for name, array in arrays.items()})


@pytest.mark.parametrize("dtype", ["f4", "f8", ">f8"])
@pytest.mark.parametrize("step", [1, 3, 7])
def test_safetensors(tmp_path: Path, step: int, dtype: str) -> None:
    """The library finds every array and the metadata; the arrays begin where any dtype may."""
    arrays = some(dtype)
    write(tmp_path / "a.safetensors", arrays, step, dtype, metadata={"model": "mine"})
    found = load_file(tmp_path / "a.safetensors")
    assert set(found) == set(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
    with safe_open(tmp_path / "a.safetensors", "numpy") as file:
        assert file.metadata() == {"model": "mine"}
    with open_rows(tmp_path / "a.safetensors", "unused") as rows:
        assert rows.arrays["codes"].offset % 8 == 0
        np.testing.assert_array_equal(rows.read("factors.a", 2, 5), arrays["factors.a"][2:5])


@pytest.mark.parametrize("step", [1, 3, 7])
def test_npy(tmp_path: Path, step: int) -> None:
    """NumPy finds the one array that such a file gets."""
    arrays = some()
    write(tmp_path / "a.npy", arrays, step)
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), arrays["codes"])


def test_nothing_is_left_of_what_fails(tmp_path: Path) -> None:
    """A file that is there stays as it was until another one is whole, and of one that fails nothing is left."""
    write(tmp_path / "a.npy", some(), 7)
    before = (tmp_path / "a.npy").read_bytes()

    def fail() -> None:
        with writing_rows(tmp_path / "a.npy", SHAPES, np.dtype("f4"), "codes") as file:
            file.write({"codes": np.ones((2, 3))})
            assert (tmp_path / "a.npy").read_bytes() == before
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert [path.name for path in tmp_path.iterdir()] == ["a.npy"]
    assert (tmp_path / "a.npy").read_bytes() == before


def test_another_ending(tmp_path: Path) -> None:
    """Another ending is refused before anything is written."""
    with pytest.raises(ValueError, match=r"must end in \.npy or \.safetensors"):
        write(tmp_path / "a.csv", some(), 7)
    assert not list(tmp_path.iterdir())
