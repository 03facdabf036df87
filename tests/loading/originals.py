"""The files of gyoza 0.3: four that it wrote, and any flow of ours written in its layout.

What that layout is can be read off the four; ``test_original_layout.py`` proves that files in it are like them.
"""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from keras import ops

from tests.loading.archives import rewrite

FOLDER = Path(__file__).parents[1] / "data" / "original-0.3"
NAMES = sorted(path.stem for path in FOLDER.glob("*.keras"))
COMPILED = "disentangling_compiled_8"
SIZES = [4, 2, 2]
"""Of the factors with which the compiled one was trained, which its file does not hold."""
LOSS = "SupervisedFactorLoss"
UNKNOWN_KEYS = {
    "Reflection": {"seed"},
    "ShufflePermutation": {"seed"},
    "DisentanglingFlowModel": {"factors"},
    LOSS: {"dimensions_per_factor", "dtype"},
}
"""What our configs hold and those of gyoza 0.3 do not."""


def keras_file(name: str) -> Path:
    """A model of gyoza 0.3."""
    return FOLDER / f"{name}.keras"


def weights_file(name: str) -> Path:
    """The same model's weights."""
    return FOLDER / f"{name}.weights.h5"


def assert_same_numbers(flow: Any, name: str) -> None:
    """Codes, logdets and latents of a flow (of Keras or compiled) are those that gyoza 0.3 computed."""
    expected = np.load(FOLDER / f"{name}.npz")
    codes, logdet = flow.encode(expected["latents"]) if hasattr(flow, "encode") else flow(expected["latents"])
    assert_close(codes, expected["codes"])
    assert_close(logdet, expected["logdet"])
    assert_close(flow.invert(expected["codes"]), expected["inverse"])


def assert_close(found: Any, expected: np.ndarray) -> None:
    """Two arrays differ by no more than 5e-6 · (1 + max|row|) in any row."""
    rows = expected.reshape(len(expected), -1)
    difference = np.abs(ops.convert_to_numpy(found).reshape(rows.shape) - rows)
    assert (difference <= 5e-6 * (1 + np.abs(rows).max(axis=1, keepdims=True))).all(), difference.max()


def as_original(source: Path, target: Path) -> Path:
    """Copy a ``.keras`` file of this library in the layout of gyoza 0.3."""
    return rewrite(source, target, original_config, forget_flags)


def original_config(value: Any) -> Any:
    """A config of this library as gyoza 0.3 would have written it."""
    if isinstance(value, list):
        return [original_config(item) for item in value]
    if not isinstance(value, dict):
        return value
    node = {key: original_config(item) for key, item in value.items()}
    module = str(node.get("module"))
    if not module.startswith("gyoza.modelling."):
        return node
    name = node["class_name"]
    node["module"] = ".".join(module.split(".")[:3])
    node["registered_name"] = name if name == LOSS else f"Custom>{name}"
    node["config"] = {key: item for key, item in node["config"].items() if key not in UNKNOWN_KEYS.get(name, ())}
    if node["module"] == "gyoza.modelling.masks":
        node.pop("build_config", None)
    return node


def forget_flags(file: h5py.File) -> None:
    """Take the flag ``_initialized_`` out of a file of weights, which gyoza 0.3 did not have."""
    flags: list[str] = []
    file.visititems(lambda path, item: flags.append(path) if getattr(item, "dtype", None) == bool else None)
    for flag in flags:
        del file[flag]


def listing(file: h5py.File) -> dict[str, Any]:
    """Everything in a file of weights: for each path a name, or an array with its dtype."""
    found: dict[str, Any] = {}

    def note(path: str, item: Any) -> None:
        found[path] = (str(item.dtype), item[()].tolist()) if isinstance(item, h5py.Dataset) else dict(item.attrs)

    file.visititems(note)
    return found
