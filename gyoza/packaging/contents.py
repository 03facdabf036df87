"""The files of a version folder beside those of Keras: golden vectors, examples, plan and manifest."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from safetensors.numpy import save

from gyoza.inference.checks import Golden
from gyoza.inference.plan import Floats
from gyoza.loading import compile_file, compile_half
from gyoza.packaging.golden import write_golden
from gyoza.packaging.manifest import FactorNote, Outputs, digests_of, manifest_text

__all__ = ["Contents", "complete_version"]

FLOW, PLAN, GOLDEN, EXAMPLES = "flow.keras", "plan.safetensors", "golden.safetensors", "examples.safetensors"
HALVES = {f"{half}.keras": f"{half}.plan.safetensors" for half in ("encoder", "decoder")}
"""The halves of the host, and their plans."""
FILES = (FLOW, *HALVES, PLAN, *HALVES.values(), GOLDEN, EXAMPLES)
"""Those whose digests are recorded, in this order."""


@dataclass(frozen=True, eq=False)
class Contents:
    """What a version folder tells beside what its ``.keras`` files do."""

    golden: Golden
    examples: Mapping[str, Floats] = field(default_factory=dict)
    """``latents``, and perhaps ``inputs`` of the encoder; empty where there are none."""
    factors: tuple[FactorNote, ...] = ()
    """In the order of the code; none where the flow's own file tells them, or has none."""
    description: str | None = None
    outputs: Outputs | None = None


def complete_version(folder: Path, contents: Contents, trusted_modules: Iterable[str] = ()) -> str | None:
    """Write all that a version folder needs beside its ``.keras`` files, so that a service takes it.

    Every file but those of Keras is written here, and nowhere else.

    Args:
        folder: It holds ``flow.keras``, and perhaps ``encoder.keras`` and ``decoder.keras``; what else is there is replaced.
        contents: What is to be written.
        trusted_modules: As for ``gyoza.loading.load_flow``.

    Returns:
        Why the folder got no plan of its flow or of a half; None where it got all.

    Raises:
        LoadError: A file can't be loaded, or a check of it or of its plan failed.
        OSError: A file can't be written.
    """
    write_golden(folder / GOLDEN, contents.golden)
    if contents.examples:
        examples = {name: np.ascontiguousarray(rows) for name, rows in contents.examples.items()}
        (folder / EXAMPLES).write_bytes(save(examples))
    lacking = write_plans(folder, contents.golden, trusted_modules)
    digests = digests_of(folder / name for name in FILES if (folder / name).exists())
    text = manifest_text(contents.factors, digests, contents.description, contents.outputs)
    (folder / "flow.toml").write_text(text, encoding="utf-8")
    return lacking


def write_plans(folder: Path, golden: Golden, trusted_modules: Iterable[str]) -> str | None:
    """Compile a folder's flow and halves ahead of time, as far as they are all arrays: -> why one can't be, or None."""
    compiling: dict[str, Callable[[], object]] = {
        PLAN: partial(compile_file, folder / FLOW, folder / PLAN, golden, trusted_modules)
    }
    for half, plan in HALVES.items():
        if (folder / half).exists():
            compiling[plan] = partial(compile_half, folder / half, folder / plan, trusted_modules)
    lacking = [reason for plan, compile_one in compiling.items() if (reason := why_not(folder / plan, compile_one))]
    return " ".join(lacking) or None


def why_not(plan: Path, compile_one: Callable[[], object]) -> str | None:
    """Compile one file: -> why that can't be, in which case there is no plan, or None."""
    try:
        compile_one()
    except ValueError as error:
        plan.unlink(missing_ok=True)
        return str(error)
    return None
