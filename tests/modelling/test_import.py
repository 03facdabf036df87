"""Importing the package."""

import importlib
import subprocess
import sys

import pytest

import gyoza.modelling


def test_a_missing_keras_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Keras the import error says which extra to install."""
    monkeypatch.setitem(sys.modules, "keras", None)
    try:
        with pytest.raises(
            ImportError, match=r"extra cpu or gpu of gyoza-serve: pip install '\.\[cpu\]' in the checkout"
        ):
            importlib.reload(gyoza.modelling)
    finally:
        monkeypatch.undo()
        importlib.reload(gyoza.modelling)


def test_no_layer_imports_a_backend_by_itself() -> None:
    """What imports TensorFlow is Keras: the modules name no backend, so another one would do."""
    code = (
        "import sys, keras; before = {m for m in sys.modules if m in ('tensorflow', 'jax', 'torch')};"
        "import gyoza.modelling.flow_layers, gyoza.modelling.losses, gyoza.modelling.backend;"
        "print({m for m in sys.modules if m in ('tensorflow', 'jax', 'torch')} - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
