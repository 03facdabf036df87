"""Halves in files: written ahead of time where they are dense layers, and read without Keras."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyoza.inference.checks import Check
from gyoza.inference.files.content import read_content
from gyoza.inference.files.description import FORMAT, build, describe
from gyoza.inference.files.proof import Proof
from gyoza.inference.files.reading import WRONG, PlanError, parts_of, read_safetensors, reason
from gyoza.inference.files.validation import check_dtype, check_half_plan, check_origin, check_proof
from gyoza.inference.files.writing import write_parts
from gyoza.inference.halves import CompiledHalf, HalfPlan, LoadedHalf, check_finite, check_half_steps, probe_rows

__all__ = ["PROBE_ROWS", "HalfFile", "load_checked_half", "read_half", "write_half"]

TITLE = "gyoza half"
ADVICE = "Save it by gyoza.loading.compile_half"
PARTS = frozenset({"network", "input_shape", "output_shape", "dtype", "origin", "checks", "file_digest"})
PROBE_ROWS = 16


@dataclass(frozen=True, eq=False)
class HalfFile:
    """The content of a half's file."""

    plan: HalfPlan
    proof: Proof
    """Of the ``.keras`` file that the half was loaded from."""
    digest: str | None = None
    """The SHA-256 of the file, in hexadecimal."""


def write_half(path: Path | str, plan: HalfPlan, proof: Proof | None = None) -> None:
    """Write a half to a safetensors file; one that is there is replaced at once, never half.

    Args:
        path: Where to, ``encoder.plan.safetensors`` or ``decoder.plan.safetensors`` in a version's folder.
        plan: A half of dense layers.
        proof: How it was proven, if it was, with the digest of the ``.keras`` file that it was loaded from.

    Raises:
        ValueError: It calls code, or ``read_half`` would refuse the file.
        OSError: The file can't be written.
    """
    arrays: dict[str, NDArray[Any]] = {}
    shown = proof or Proof()
    parts = {field.name: describe(getattr(plan, field.name), field.name, arrays) for field in fields(plan)}
    parts |= {"checks": describe(shown.checks, "checks", arrays), "file_digest": shown.flow_digest}
    try:
        half_file(parts, dict(arrays))
    except WRONG as wrong:
        error = reason(wrong)
        raise ValueError(f"A half must be one that can be read again: {error}") from wrong
    write_parts(path, f"{TITLE} {FORMAT}", parts, arrays)


def read_half(path: Path | str) -> HalfFile:
    """Read a half from a safetensors file that anybody may have written.

    Args:
        path: The file, as ``write_half`` wrote it.

    Returns:
        The half, whose layers are checked to fit together, and its proof.

    Raises:
        PlanError: The file is damaged, no half, of a newer format, or its layers do not fit together.
        OSError: The file can't be read.
    """
    path = Path(path)
    try:
        content = read_content(path)
        metadata, arrays = read_safetensors(content.data)
        return replace(half_file(parts_of(metadata, TITLE, PARTS, ADVICE), arrays), digest=content.digest)
    except WRONG as error:
        raise PlanError(f"{path.name} must hold a half that can be run: {reason(error)}") from error


def half_file(parts: Mapping[str, Any], arrays: dict[str, NDArray[Any]]) -> HalfFile:
    """Build a half from its described parts and check it; the arrays that it names are taken out."""
    built = {name: build(part, arrays) for name, part in parts.items()}
    proof = Proof(built.pop("checks"), built.pop("file_digest"))
    check_proof(proof)
    if built["origin"] is not None:
        check_origin(built["origin"])
    check_dtype(built["dtype"])
    plan = HalfPlan(**{**built, "dtype": np.dtype(built["dtype"])})
    check_half_plan(plan)
    return HalfFile(plan, proof)


def load_checked_half(path: Path | str) -> tuple[LoadedHalf, Proof]:
    """Load a half that was compiled ahead of time and check it again; neither Keras nor a backend is needed.

    Args:
        path: The file.

    Returns:
        The half with the figures of its checks, those recorded in the file first; and how the file says that it was proven.

    Raises:
        PlanError: As for ``read_half``.
        OSError: The file can't be read.
    """
    file = read_half(path)
    half = CompiledHalf(file.plan)
    rows = probe_rows(half, PROBE_ROWS)
    found: tuple[Check, ...] = (check_half_steps(half, rows), check_finite(half, rows))
    names = {check.name for check in found}
    recorded = tuple(check for check in file.proof.checks if check.name not in names)
    return LoadedHalf(half, (*recorded, *found), file.digest), file.proof
