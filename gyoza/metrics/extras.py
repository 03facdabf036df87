"""What is only imported where it is used: scikit-learn."""

from importlib import import_module
from typing import Any

__all__ = ["scikit_learn"]


def scikit_learn(module: str) -> Any:
    """Import a module of scikit-learn.

    Args:
        module: Its name below ``sklearn``.

    Raises:
        ImportError: It is not installed; the text says how to install it.
    """
    try:
        return import_module(f"sklearn.{module}")
    except ImportError as error:
        raise ImportError(
            "This metric needs scikit-learn. Install the extra metrics of gyoza-serve: pip install '.[metrics]' in the "
            f"checkout. Received: {type(error).__name__}: {error}"
        ) from error
