"""Modules whose classes a file may name, because whoever loads it says so; nothing is imported because a file does."""

from collections.abc import Iterable
from importlib import import_module

from gyoza.loading.errors import LoadError, reason

__all__ = ["import_trusted"]


def import_trusted(names: Iterable[str]) -> frozenset[str]:
    """Import modules, so that they register their classes with Keras.

    Args:
        names: Such as ``my_layers``; of a package, all its modules are trusted.

    Returns:
        The names.

    Raises:
        LoadError: One can't be imported.
    """
    found = frozenset(names)
    for name in sorted(found):
        try:
            import_module(name)
        except Exception as error:  # A module raises whatever it likes.
            raise LoadError(
                f"the trusted module {name} can't be imported: {type(error).__name__}: {reason(error)}. Install it beside "
                "gyoza, or take it out of trusted_modules (GYOZA_TRUSTED_MODULES of the service)"
            ) from error
    return found
