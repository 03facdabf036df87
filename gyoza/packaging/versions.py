"""Folders of versions: each gets the next number, and appears at once with all that is in it. No Keras here."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from gyoza.factors import FACTOR_NAME

__all__ = ["Draft", "drafting", "next_number"]

LOOSE = ".keras"
TAKEN = {errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR}
"""What a system says of a rename to where something is."""


@dataclass(frozen=True)
class Draft:
    """A version that nobody sees yet."""

    folder: Path
    """Where its files are written."""
    model: Path
    """The model's folder, which need not exist."""

    def publish(self) -> Path:
        """Let the version appear as the next one of its model, whoever else publishes one at the same time.

        Returns:
            Its folder.

        Raises:
            FileExistsError: A loose file of the model's name is there.
            OSError: It can't be written.
        """
        for path in (*sorted(self.folder.iterdir()), self.folder):
            flush(path)
        check_loose(self.model)
        self.model.mkdir(exist_ok=True)
        while True:
            target = self.model / str(next_number(self.model))
            try:
                self.folder.rename(target)
            except OSError as error:
                if error.errno not in TAKEN:
                    raise
            else:
                flush(self.model)
                return target


@contextmanager
def drafting(models_dir: Path, name: str) -> Iterator[Draft]:
    """Give a version a folder that no service looks into, on the file system where it will appear.

    Args:
        models_dir: The folder of the models, made if missing.
        name: The model's name.

    Yields:
        The draft. What was not published is gone afterwards.

    Raises:
        ValueError: No model may be called so.
        FileExistsError: A loose file of the model's name is there.
        OSError: The folder can't be made.

    Example:
        >>> import pathlib, tempfile
        >>> from gyoza.packaging.versions import drafting
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with drafting(pathlib.Path(folder), "mine") as draft:
        ...         _ = (draft.folder / "flow.keras").write_text("a flow")
        ...         draft.publish().relative_to(folder).as_posix()
        'mine/1'
    """
    if not FACTOR_NAME.fullmatch(name):
        raise ValueError(f"A model's name must match {FACTOR_NAME.pattern}; choose another. Received: {name}")
    model = models_dir / name
    check_loose(model)
    # Beside the other versions, since the model's folder may be a link to another file system; hidden, and no number.
    home = model if model.is_dir() else models_dir
    home.mkdir(parents=True, exist_ok=True)
    folder = home / f".gyoza-{uuid4().hex}"
    folder.mkdir()
    try:
        yield Draft(folder, model)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def next_number(model: Path) -> int:
    """Return the number behind the highest version of a model, whether that can be loaded or not."""
    names = [path.name for path in model.iterdir()]
    return 1 + max((int(name) for name in names if name.isascii() and name.isdecimal()), default=0)


def check_loose(model: Path) -> None:
    """Refuse a model's folder beside a loose file of its name: a service would take neither.

    Raises:
        FileExistsError: There is one.
    """
    loose = model.with_name(model.name + LOOSE)
    if loose.exists():
        raise FileExistsError(
            f"A model must be a folder or a loose file, not both; move {loose} away, to {model / '1' / 'flow.keras'} if it "
            "is to be its first version"
        )


def flush(path: Path) -> None:
    """Make sure that a file, or what a folder lists, is on the disk and not only in the system's memory."""
    if path.is_dir() and not hasattr(os, "O_DIRECTORY"):  # pragma: no cover - Windows opens no folders.
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
