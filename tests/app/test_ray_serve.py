"""What can be said of Ray Serve where it is not installed; ``tests/ray`` has the rest."""

import sys

import pytest


def test_without_ray_it_is_said_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the name of the extra."""
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "app.ray_serve", raising=False)
    with pytest.raises(ImportError, match=r"Install the extra ray of gyoza-serve: pip install '\.\[ray\]'"):
        import app.ray_serve  # noqa: F401
