"""Giving back the memory of what is used no more."""

import ctypes
import gc


def tidy(*, thoroughly: bool) -> None:
    """Free what nothing leads to any more.

    Args:
        thoroughly: Whether to look also at what was left aside, and leave aside from then on all that is there. What imports
            and loading leave stays for long, and looking at it in each collection takes up to 100 ms with Keras imported. But
            what requests hold at that moment is left aside too until the next time, so not every plan is worth that.
    """
    if thoroughly:
        gc.unfreeze()
    gc.collect()
    if thoroughly:
        gc.freeze()
    trim()


def trim() -> None:
    """Give pages that are free back to the system, where its C library keeps them otherwise."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError):  # No glibc.
        return
