"""The text of a ``flow.toml``. No Keras here."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["FactorNote", "Outputs", "digests_of", "manifest_text"]


@dataclass(frozen=True)
class FactorNote:
    """What a ``flow.toml`` tells of one factor."""

    name: str
    size: int
    description: str | None = None
    range: tuple[float, float] | None = None
    """The values that make sense for it, from and to."""


@dataclass(frozen=True)
class Outputs:
    """What a ``flow.toml`` tells of what the decoder gives."""

    shape: tuple[int, ...]
    kind: str
    """Such as ``image``."""


def manifest_text(
    factors: Sequence[FactorNote],
    digests: Mapping[str, str],
    description: str | None = None,
    outputs: Outputs | None = None,
) -> str:
    """Return the text of a ``flow.toml``.

    Args:
        factors: In the order of the code; none where nothing is to be told of them.
        digests: File name to SHA-256 in hexadecimal.
        description: What the flow is for.
        outputs: What the decoder gives.

    Returns:
        TOML.

    Example:
        >>> print(manifest_text([FactorNote("residual", 2)], {"flow.keras": "ab"}), end="")
        [[factors]]
        name = "residual"
        size = 2
        <BLANKLINE>
        [files]
        "flow.keras" = "ab"
    """
    tables = [] if description is None else [f"description = {quoted(description)}"]
    tables += map(factor_table, factors)
    if outputs is not None:
        tables.append(f"[outputs]\nshape = {list(outputs.shape)}\nkind = {quoted(outputs.kind)}")
    tables.append("\n".join(["[files]", *(f"{quoted(name)} = {quoted(digest)}" for name, digest in digests.items())]))
    return "\n\n".join(tables) + "\n"


def factor_table(factor: FactorNote) -> str:
    """Return the table of a factor."""
    lines = ["[[factors]]", f"name = {quoted(factor.name)}", f"size = {factor.size}"]
    if factor.description is not None:
        lines.append(f"description = {quoted(factor.description)}")
    if factor.range is not None:
        lines.append(f"range = {list(map(float, factor.range))}")
    return "\n".join(lines)


def quoted(text: str) -> str:
    """Return a text as TOML writes it, which is as JSON does but for one character."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def digests_of(files: Iterable[Path]) -> dict[str, str]:
    """Return the names of files and their SHA-256 in hexadecimal."""
    return {file.name: sha256_of(file) for file in files}


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
