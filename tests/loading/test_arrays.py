"""What a file of weights may hold: arrays of numbers, in the file itself."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from gyoza.loading import LoadError, arrays, load_flow, load_weights
from gyoza.modelling.flow_layers import DisentanglingFlowModel
from tests.loading.archives import rewrite
from tests.loading.flows import flow_model

Saved = tuple[Path, DisentanglingFlowModel]
Change = Callable[[h5py.File], object]
AT = "layers/reflection/vars/0"


def soft(file: h5py.File) -> None:
    """Link to a group by its path."""
    file["more"] = h5py.SoftLink("/layers")


def external(file: h5py.File) -> None:
    """Link to another file."""
    file["more"] = h5py.ExternalLink("/etc/passwd", "/")


def twice(file: h5py.File) -> None:
    """Let a weight stand in two places."""
    file["more"] = file[AT]


def circle(file: h5py.File) -> None:
    """Let a group stand in itself."""
    file["layers/more"] = file["layers"]


def elsewhere(file: h5py.File) -> None:
    """Keep the numbers of a weight in another file."""
    shape = file[AT].shape
    del file[AT]
    file.create_dataset(AT, shape, "f4", external=[("/etc/passwd", 0, h5py.h5f.UNLIMITED)])


def virtual(file: h5py.File) -> None:
    """Gather the numbers of a weight from other files."""
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (4,))
    file.create_virtual_dataset("more", layout)


def deep(file: h5py.File) -> None:
    """Nest groups, which takes longer to name the deeper they are."""
    file.create_group("/".join(["a"] * 200))


def bomb(file: h5py.File) -> None:
    """Claim a terabyte that a filter makes of nothing."""
    file.create_dataset("more", (2**40,), "f4", chunks=(2**20,), compression="gzip")


def unwritten(file: h5py.File) -> None:
    """Claim a terabyte of which nothing was written."""
    file.create_dataset("more", (2**40,), "f4")


def overflowing(file: h5py.File) -> None:
    """Claim more numbers than an integer of 64 bits can count."""
    file.create_dataset("more", (2**32, 2**32), "f4", chunks=(1, 1))


def texts(file: h5py.File) -> None:
    """Keep texts."""
    file["more"] = ["a", "b"]


def records(file: h5py.File) -> None:
    """Keep numbers with names."""
    file["more"] = np.zeros(2, [("a", "f4")])


def nothing(file: h5py.File) -> None:
    """Keep an array of no shape."""
    file["more"] = h5py.Empty("f4")


def a_type(file: h5py.File) -> None:
    """Keep a type by its name."""
    file["more"] = np.dtype("f4")


def many_attributes(file: h5py.File) -> None:
    """Say much of a group."""
    for number in range(20):
        file["layers"].attrs[str(number)] = number


def a_long_attribute(file: h5py.File) -> None:
    """Say of a group what is no single value."""
    file["layers"].attrs["a"] = np.zeros(100)


CHANGES: dict[str, tuple[Change, str]] = {
    "a soft link": (soft, "'more' in '/' must be in the file itself. Received: SoftLink"),
    "a link to another file": (external, "'more' in '/' must be in the file itself. Received: ExternalLink"),
    "a weight twice": (twice, "must stand in one place"),
    "a circle": (circle, "must stand in one place"),
    "numbers elsewhere": (elsewhere, "whose numbers are elsewhere"),
    "numbers gathered": (virtual, "whose numbers are elsewhere"),
    "a bomb": (bomb, "'/more' must be stored as they are. Received: chunks, or a filter"),
    "deep groups": (deep, "nested at most 100 levels deep"),
    "a shape of nothing": (unwritten, r"'/more' of the shape \[1099511627776\] must store 4,398,046,511,104 bytes"),
    "a shape beyond counting": (overflowing, "must be stored as they are"),
    "texts": (texts, "'/more' must be an array of numbers. Received: object"),
    "records": (records, "'/more' must be an array of numbers"),
    "nothing": (nothing, "can't be loaded|can't be read"),
    "a type": (a_type, "'/more' must be a group or an array"),
    "many attributes": (many_attributes, "'/layers' must have at most 16 attributes"),
    "a long attribute": (a_long_attribute, "'/layers' must have at most 16 attributes, of one value each"),
}


@pytest.mark.parametrize("case", CHANGES)
def test_what_keras_does_not_write_is_refused(case: str, saved: Saved, tmp_path: Path) -> None:
    """In an archive as in a file of weights alone, the refusal says where in the file it stands."""
    change, message = CHANGES[case]
    with pytest.raises(LoadError, match=message):
        load_flow(rewrite(saved[0], tmp_path / "flow.keras", weights=change))
    model = flow_model()
    model.save_weights(tmp_path / "flow.weights.h5")
    with h5py.File(tmp_path / "flow.weights.h5", "a") as file:
        change(file)
    with pytest.raises(LoadError, match=message):
        load_weights(model, tmp_path / "flow.weights.h5")


def test_arrays_lie_in_the_file(saved: Saved, tmp_path: Path) -> None:
    """Arrays that claim the same bytes would hold more than the file does."""
    model = flow_model()
    model.save_weights(tmp_path / "flow.weights.h5")
    with h5py.File(tmp_path / "flow.weights.h5") as file, pytest.raises(ValueError, match="must lie in the file's 10 "):
        arrays.count_numbers(file, 10)


def test_objects_are_bounded(saved: Saved, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of nothing but groups is refused, too."""
    monkeypatch.setattr(arrays, "MOST_OBJECTS", 5)
    with pytest.raises(LoadError, match="must hold at most 5 groups and arrays"):
        load_flow(saved[0])


def test_the_numbers_are_those_of_the_model(saved: Saved, tmp_path: Path) -> None:
    """What is counted is what the model's weights hold."""
    saved[1].save_weights(tmp_path / "flow.weights.h5")
    with h5py.File(tmp_path / "flow.weights.h5") as file:
        count = arrays.count_numbers(file, file.id.get_filesize())
    assert count == sum(int(np.prod(weight.shape)) for weight in saved[1].weights)
