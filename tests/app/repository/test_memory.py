"""Memory of what is used no more."""

import ctypes
import gc
import weakref

import pytest

from app.repository import tidy


class Ring:
    """Something that leads to itself."""

    def __init__(self) -> None:
        """Close the ring."""
        self.itself = self


@pytest.mark.parametrize("c_library", ["this", "another"])
def test_what_was_frozen_is_freed(c_library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was left aside as lasting goes once nothing leads to it any more, whatever the C library can do."""
    if c_library == "another":
        monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    ring = Ring()
    seen = weakref.ref(ring)
    tidy(thoroughly=True)
    assert gc.get_freeze_count() > 0
    del ring
    gc.collect()
    assert seen() is not None
    tidy(thoroughly=False)
    assert seen() is not None
    tidy(thoroughly=True)
    assert seen() is None
