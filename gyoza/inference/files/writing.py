"""Writing a plan to a file."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from gyoza.inference.files.description import FORMAT, describe
from gyoza.inference.files.proof import Proof
from gyoza.inference.files.reading import WRONG, plan_file, reason
from gyoza.inference.plan import Plan

__all__ = ["replacing", "write_parts", "write_plan"]


def write_plan(path: Path | str, plan: Plan, proof: Proof | None = None) -> None:
    """Write a plan to a safetensors file; one that is there is replaced at once, never half.

    Args:
        path: Where to. Threads and processes may write to one path: the file is the one of whoever comes last.
        plan: Of known steps only.
        proof: How it was proven, if it was.

    Raises:
        ValueError: A step calls code, or ``read_plan`` would refuse the file: a number is not finite in the plan's dtype, a
            step is no bijection, a latent is larger than ``gyoza.inference.files.validation.LARGEST_SIZE``.
        OSError: The file can't be written.
    """
    arrays: dict[str, NDArray[Any]] = {}
    shown = proof or Proof()
    parts = {
        field.name: describe(getattr(part, field.name), field.name, arrays)
        for part in (plan, shown)
        for field in fields(part)
    }
    try:
        plan_file(parts, dict(arrays))
    except WRONG as wrong:
        error = reason(wrong)
        raise ValueError(f"A plan must be one that can be read again: {error}") from wrong
    write_parts(path, f"gyoza plan {FORMAT}", parts, arrays)


def write_parts(path: Path | str, title: str, parts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write described parts and their arrays to a file that says by its title what it is."""
    metadata = {"format": title, "plan": json.dumps(parts, allow_nan=False)}
    content = save({name: np.ascontiguousarray(array) for name, array in arrays.items()}, metadata)
    with replacing(Path(path)) as part:
        part.write_bytes(content)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a path of nobody else's beside ``path``; what was written there takes its place, unless an error is raised."""
    part = path.with_name(f".{uuid4().hex}.part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
