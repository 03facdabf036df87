"""A version folder holds all that a service looks for, and digests of it."""

import tomllib
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from app.model import load, load_with_keras
from gyoza.loading import LoadError
from gyoza.packaging.contents import Contents, complete_version
from gyoza.packaging.golden import golden_of
from gyoza.packaging.manifest import FactorNote, Outputs, digests_of
from tests.loading.flows import flow_model


def test_a_service_takes_what_was_written(tmp_path: Path) -> None:
    """The folder loads, tells its description, factors and outputs, and every file's digest is recorded."""
    model = flow_model()
    model.save(tmp_path / "flow.keras")
    factors = (FactorNote("residual", 3, "the rest", (-1.0, 1.0)), FactorNote("shape", 1))
    examples = {"latents": np.zeros((2, 4), np.float32)[::-1], "inputs": np.ones((2, 9), np.float32)}
    contents = Contents(golden_of(model), examples, factors, "A flow", Outputs((3, 3), "image"))
    assert complete_version(tmp_path, contents) is None
    manifest = tomllib.loads((tmp_path / "flow.toml").read_text())
    assert manifest["outputs"] == {"shape": [3, 3], "kind": "image"}
    assert manifest["files"] == digests_of(path for path in tmp_path.iterdir() if path.name != "flow.toml")
    loaded = load(tmp_path, load_with_keras, ())
    assert loaded.description == "A flow"
    assert loaded.layout is not None
    assert [(factor.name, factor.size, factor.range) for factor in loaded.layout.factors] == [
        ("residual", 3, (-1.0, 1.0)),
        ("shape", 1, None),
    ]
    assert "golden vectors" in {check.name for check in loaded.loaded.checks}
    np.testing.assert_array_equal(load_file(tmp_path / "examples.safetensors")["inputs"], examples["inputs"])


def test_a_folder_is_written_anew(tmp_path: Path) -> None:
    """What a folder held before does not stay beside another flow, and files that are not ours stay as they are."""
    (tmp_path / "notes.txt").write_text("notes")
    for seed in (0, 1):
        model = flow_model(seed=seed)
        model.save(tmp_path / "flow.keras")
        complete_version(tmp_path, Contents(golden_of(model)))
        load(tmp_path, load_with_keras, ())
    assert (tmp_path / "notes.txt").read_text() == "notes"
    assert "notes.txt" not in tomllib.loads((tmp_path / "flow.toml").read_text())["files"]


def test_a_flow_that_is_not_proven_is_refused(tmp_path: Path) -> None:
    """Golden vectors of another flow are not met, and the error has the figures."""
    flow_model().save(tmp_path / "flow.keras")
    with pytest.raises(LoadError, match=r"does not pass its checks.*\(golden vectors: error"):
        complete_version(tmp_path, Contents(golden_of(flow_model(seed=1))))
