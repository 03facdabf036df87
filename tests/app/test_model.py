"""Loading is a function from a path to a model."""

import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from app.errors import UnloadableModel
from app.model import Primitive, load, load_with_keras
from tests.app.worlds import LATENTS, affine, put, tiny_loader

ROWS = (1, 8)


def test_a_version_folder_is_loaded_and_timed(tmp_path: Path) -> None:
    """A folder's flow is loaded, its factors laid out, and either direction timed for each count of rows."""
    model = load(put(tmp_path), tiny_loader, ROWS)
    assert model.layout is not None
    assert model.layout.size == 4
    assert {primitive: list(seconds) for primitive, seconds in model.seconds.items()} == {
        Primitive.ENCODE: [1, 8],
        Primitive.INVERT: [1, 8],
    }
    assert all(seconds >= 0 for timed in model.seconds.values() for seconds in timed.values())


def test_a_loose_file_is_loaded(tmp_path: Path) -> None:
    """A loose file is a model of its own."""
    path = tmp_path / "other.keras"
    path.write_text("plain")
    model = load(path, tiny_loader, ROWS)
    assert model.layout is None
    assert list(model.files) == ["other.keras"]


@pytest.mark.parametrize(
    ("text", "manifest", "reason"),
    [
        ("unproven", "", r"round trip: error 0\.5, limit 0\.001"),
        ("too many factors", "", "file's own config must have as many columns"),
        ("affine", "[[factors]]\nname = 'a'\nsize = 3", r"flow\.toml must have as many columns"),
        ("image", "[[factors]]\nname = 'a'\nsize = 4", r"\[2, 2, 1\]"),
        ("affine", "nonsense", "must be TOML"),
    ],
)
def test_what_is_not_proven_does_not_load(tmp_path: Path, text: str, manifest: str, reason: str) -> None:
    """A failed check, or factors that do not cover the code, keep a model from loading."""
    with pytest.raises(UnloadableModel, match=reason):
        load(put(tmp_path, text=text, manifest=manifest), tiny_loader, ROWS)


def test_golden_vectors_must_be_met(tmp_path: Path) -> None:
    """A flow that makes something else of the golden rows than was recorded does not load."""
    path = put(tmp_path)
    latents = np.array(LATENTS, np.float32)
    codes, logdet = affine().encode(latents)
    save_file({"latents": latents, "codes": codes + 1, "logdet": logdet}, path / "golden.safetensors")
    with pytest.raises(UnloadableModel, match="golden vectors: error"):
        load(path, tiny_loader, ROWS)


def test_a_flow_is_needed(tmp_path: Path) -> None:
    """A version folder without a flow does not load."""
    (put(tmp_path) / "flow.keras").unlink()
    with pytest.raises(UnloadableModel, match=r"flow\.keras is missing in 1"):
        load(tmp_path / "tiny/1", tiny_loader, ROWS)


def test_without_keras_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Keras is not installed, the reason says which extra to install."""
    monkeypatch.setitem(sys.modules, "gyoza.loading", None)
    with pytest.raises(UnloadableModel, match=r"needs Keras.*extra cpu or gpu"):
        load_with_keras(tmp_path / "flow.keras", None)
