"""Giving back the memory of what is used no more."""

import ctypes
import gc


def tidy() -> None:
    """Free what nothing leads to any more, and look at what is left no more.

    What loading leaves stays for long; looking at it again in each collection takes up to 100 ms.
    """
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
