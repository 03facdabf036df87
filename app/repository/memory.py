"""Giving back the memory of what is used no more."""

import ctypes
import gc


def tidy(*, thoroughly: bool = False) -> None:
    """Free what nothing leads to any more, and look at what is left no more.

    What loading leaves stays for long, and looking at it again in each collection takes up to 100 ms with Keras imported.

    Args:
        thoroughly: Whether to look once more at what was left aside by earlier calls.
    """
    if thoroughly:
        gc.unfreeze()
    gc.collect()
    gc.freeze()
    trim()


def trim() -> None:
    """Give pages that are free back to the system, where its C library keeps them otherwise."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError):  # No glibc.
        return
