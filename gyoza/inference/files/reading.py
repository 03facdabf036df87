"""Reading a plan from a file that anybody may have written."""

import json
import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load

from gyoza.inference.files.content import read_content
from gyoza.inference.files.description import FORMAT, build
from gyoza.inference.files.proof import Proof
from gyoza.inference.files.rules import require
from gyoza.inference.files.validation import check_dtype, check_origin, check_plan, check_proof
from gyoza.inference.plan import Plan

__all__ = ["PlanError", "PlanFile", "parts_of", "plan_file", "read_plan", "read_safetensors"]

VERSION = re.compile(r"[1-9][0-9]{0,8}")
LONGEST_REASON = 1000
LARGEST_HEADER = 2**24
"""Bytes of the header: names, shapes and the steps of a plan, which are some hundred bytes each."""
WRONG = (KeyError, TypeError, ValueError, ArithmeticError, RecursionError, AttributeError, MemoryError)
"""What reading or checking something that is no plan may raise."""
PARTS = frozenset({"steps", "latent_shape", "code_shape", "dtype", "origin", "checks", "flow_digest"})


class PlanError(ValueError):
    """A file holds no plan that can be run; the text says what must hold and what was received."""


@dataclass(frozen=True, eq=False)
class PlanFile:
    """The content of a plan's file."""

    plan: Plan
    proof: Proof
    digest: str | None = None
    """The SHA-256 of the file, in hexadecimal."""


def read_plan(path: Path | str) -> PlanFile:
    """Read a plan from a safetensors file.

    Args:
        path: The file, as ``CompiledFlow.save`` or ``write_plan`` wrote it.

    Returns:
        The plan, of which every step is checked to be what its class says, and its proof.

    Raises:
        PlanError: The file is damaged, no plan, of a newer format, or its steps do not fit together.
        OSError: The file can't be read.
    """
    path = Path(path)
    try:
        content = read_content(path)
        metadata, arrays = read_safetensors(content.data)
        return replace(plan_file(parts_of(metadata), arrays), digest=content.digest)
    except WRONG as error:
        raise PlanError(f"{path.name} must hold a plan that can be run: {reason(error)}") from error


def reason(error: BaseException) -> str:
    """Return what an error says as a text that can be shown, for it may quote the file."""
    text = str(error) or type(error).__name__
    if isinstance(error, KeyError):
        text = f"it names {error}, which is not there, or is named before"
    return text.encode("utf-8", "backslashreplace").decode()[:LONGEST_REASON]


def read_safetensors(data: bytes) -> tuple[Mapping[str, str], dict[str, NDArray[Any]]]:
    """Read the metadata and the arrays of a safetensors file.

    Args:
        data: Its bytes. The library makes sure that each array lies within them, next to the one before, and has the size
            that its shape says.

    Returns:
        Both.

    Raises:
        ValueError: It is no such file, a damaged one, or its header is too large.
        KeyError: An array is of a dtype that NumPy does not have.
    """
    size = int.from_bytes(data[:8], "little")
    try:
        require(size <= LARGEST_HEADER, f"its header must have at most {LARGEST_HEADER:,} bytes. Received: {size:,}")
        arrays = load(data)
    except (SafetensorError, ValueError) as error:
        raise ValueError(f"it is no safetensors file, or a damaged one ({error})") from error
    return json.loads(data[8 : 8 + size]).get("__metadata__") or {}, arrays


def parts_of(
    metadata: Mapping[str, str],
    title: str = "gyoza plan",
    names: AbstractSet[str] = PARTS,
    advice: str = "Save it by CompiledFlow.save",
) -> dict[str, Any]:
    """Return the described parts of a plan, once the format is known to be one of ours.

    Args:
        metadata: The file's.
        title: What the format is called, before its version.
        names: Of the parts.
        advice: What to do about a file of another format.

    Raises:
        ValueError: The format is another one, or newer; or the parts are others.
    """
    found = metadata.get("format", "none")
    version = found.removeprefix(f"{title} ")
    if version == found or VERSION.fullmatch(version) is None:
        raise ValueError(f"its metadata must name the format '{title}'. Received: {found!r:.40}. {advice}")
    if int(version) > FORMAT:
        raise ValueError(
            f"this version of gyoza reads formats up to {FORMAT}. Received: format {version}. Use a newer version, or "
            "save the plan anew by this one"
        )
    parts = json.loads(metadata.get("plan", ""))
    if not isinstance(parts, dict) or parts.keys() != names:
        raise ValueError(f"its parts must be {', '.join(sorted(names))}. Received: {', '.join(map(str, parts))}")
    return parts


def plan_file(parts: Mapping[str, Any], arrays: dict[str, NDArray[Any]]) -> PlanFile:
    """Build a plan from its described parts and check it; the arrays that it names are taken out."""
    built = {name: build(part, arrays) for name, part in parts.items()}
    proof = Proof(built.pop("checks"), built.pop("flow_digest"))
    check_proof(proof)
    if built["origin"] is not None:
        check_origin(built["origin"])
    check_dtype(built["dtype"])
    plan = Plan(**{**built, "dtype": np.dtype(built["dtype"])})
    check_plan(plan)
    return PlanFile(plan, proof)
