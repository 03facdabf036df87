"""Writing a plan to a file."""

import json
import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from gyoza.inference.checks import Check
from gyoza.inference.files.description import FORMAT, describe
from gyoza.inference.plan import Plan

__all__ = ["Proof", "write_plan"]


@dataclass(frozen=True)
class Proof:
    """How a plan was proven when it was made."""

    checks: tuple[Check, ...] = ()
    """What compared it with the flow's layers, and what that found."""
    flow_digest: str | None = None
    """The SHA-256 of the file that the flow was loaded from."""


def write_plan(path: Path | str, plan: Plan, proof: Proof | None = None) -> None:
    """Write a plan to a safetensors file; one that is there is replaced at once, never half.

    Args:
        path: Where to.
        plan: Of known steps only.
        proof: How it was proven, if it was.

    Raises:
        ValueError: A step calls code, and so can't be in a file.
        OSError: The file can't be written.
    """
    arrays: dict[str, NDArray[Any]] = {}
    parts = {field.name: describe(getattr(plan, field.name), field.name, arrays) for field in fields(plan)}
    shown = proof or Proof()
    parts["checks"], parts["flow_digest"] = describe(shown.checks, "checks", arrays), shown.flow_digest
    metadata = {"format": f"gyoza plan {FORMAT}", "plan": json.dumps(parts, allow_nan=False)}
    content = save({name: np.ascontiguousarray(array) for name, array in arrays.items()}, metadata)
    path = Path(path)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(content)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
