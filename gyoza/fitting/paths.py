"""Where a fitted flow and its report are written. No Keras here."""

import os
from pathlib import Path

__all__ = ["SUFFIX", "checked_target", "files_there", "report_path"]

SUFFIX = ".keras"


def report_path(path: Path) -> Path:
    """Return where the report of a flow's file lies."""
    return path.with_name(f"{path.name.removesuffix(SUFFIX)}.fit.json")


def checked_target(path: str | os.PathLike[str], *, overwrite: bool) -> Path:
    """Return a path that a flow may be written to; see ``FittedFlow.save``."""
    target = Path(path)
    if target.suffix != SUFFIX:
        raise ValueError(f"The flow's path must end in {SUFFIX}. Received: path={str(path)!r}")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"The folder {target.parent} must exist; make it first. Received: path={str(path)!r}")
    there = files_there(target)
    if there and not overwrite:
        raise FileExistsError(f"{there} must not be there yet; choose another path, or overwrite it.")
    return target


def files_there(path: Path) -> str:
    """Name those of a flow's file and its report that are there already; empty where neither is."""
    return " and ".join(str(file) for file in (path, report_path(path)) if file.exists())
