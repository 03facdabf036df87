"""The library's loading of ``.keras`` files: the one place where the service comes upon Keras."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from app.errors import UnloadableModel

PLAN_INSTEAD = "put the plan beside it that gyoza package writes where Keras is"


@contextmanager
def needing_keras(what: str, instead: str | None = None) -> Iterator[Any]:
    """Give ``gyoza.loading``, which imports Keras, and translate its refusals.

    Args:
        what: What is done, such as loading a file.
        instead: What else can be done where Keras is not installed.

    Raises:
        UnloadableModel: Keras is not installed, or a file can't be loaded.
    """
    # What TensorFlow prints about the processor is no news to who serves; its oneDNN kernels announce themselves anyway.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    try:
        loading = import_module("gyoza.loading")
    except ImportError as error:
        raise UnloadableModel(
            f"{what} needs Keras, which is not installed ({error}). "
            "Install the extra cpu or gpu of gyoza-serve: pip install '.[cpu]' in the checkout"
            f"{f'; or {instead}' if instead else ''}"
        ) from error
    try:
        yield loading
    except loading.LoadError as error:
        raise UnloadableModel(str(error)) from error
