"""What lies beside a flow: ``flow.toml`` and ``golden.safetensors``, read without Keras."""

import hashlib
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

from app.errors import UnloadableModel
from app.tensors import FactorLayout
from gyoza.factors import FACTOR_NAME, RESERVED_NAMES
from gyoza.inference.checks import Golden
from gyoza.inference.files.content import LARGEST_FILE, open_regular, read_content
from gyoza.inference.files.depth import is_nested_within
from gyoza.inference.files.reading import read_safetensors
from gyoza.inference.files.rules import is_shape, is_text, require

FLOW, PLAN, GOLDEN, MANIFEST = "flow.keras", "plan.safetensors", "golden.safetensors", "flow.toml"
"""A version's flow as Keras saved it, and compiled ahead of time; rows that it must meet; and what is told of it."""
ENCODER, ENCODER_PLAN = "encoder.keras", "encoder.plan.safetensors"
DECODER, DECODER_PLAN = "decoder.keras", "decoder.plan.safetensors"
"""The halves of the network that the flow's latents are from, likewise."""
EXAMPLES = "examples.safetensors"
READ_HERE = (FLOW, PLAN, MANIFEST, GOLDEN, ENCODER, ENCODER_PLAN, DECODER, DECODER_PLAN, EXAMPLES)
"""All files of a version."""
TABLES = {"description": str, "factors": list, "outputs": dict, "files": dict}
LARGEST_MANIFEST = 2**18
"""Bytes: thousands of factors. Python's reader of TOML takes a second for some times that."""
DEEPEST = 10
"""Levels of a manifest; factors have three."""
DEEP_KEY = re.compile(rf"""(?<![\w-])(?:(?:[\w-]+|"[^"\n]*"|'[^'\n]*')[ \t]*\.[ \t]*){{{DEEPEST}}}""", re.ASCII)
"""A key with so many dots, for which Python's reader takes a time that grows with the square of their count."""
TOO_DEEP = f"it must be nested at most {DEEPEST} levels deep"
LARGEST_GOLDEN = 2**28
"""Bytes: sixteen rows of the largest flow take an eighth of that, and all rows are computed at once."""
FACTOR_KEYS = frozenset({"name", "size", "description", "range"})
DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Outputs:
    """What the decoder gives; nothing where that is not told."""

    shape: tuple[int, ...] | None = None
    """The shape of one output, into which the decoder's own is brought."""
    kind: str | None = None
    """Such as ``image``."""


@dataclass(frozen=True)
class Manifest:
    """The content of a ``flow.toml``; empty where there is none."""

    description: str | None = None
    layout: FactorLayout | None = None
    outputs: Outputs = Outputs()
    digests: Mapping[str, str] = field(default_factory=dict)
    """File name to the SHA-256 that it must have."""
    digest: str | None = None
    """The SHA-256 of the file itself."""


def read_manifest(path: Path) -> Manifest:
    """Read a ``flow.toml``.

    Args:
        path: The file; it need not exist.

    Returns:
        Its content.

    Raises:
        UnloadableModel: It is not TOML, large, or holds something that it must not.
    """
    if not path.exists():
        return Manifest()
    try:
        file = read_content(path, LARGEST_MANIFEST)
        text = file.data.decode("utf-8")
        require(DEEP_KEY.search(text) is None, TOO_DEEP)
        content = tomllib.loads(text)
        require(is_nested_within(content, DEEPEST), TOO_DEEP)
    except (ValueError, RecursionError) as error:
        raise UnloadableModel(f"{path.name} must be TOML in UTF-8: {error}") from error
    for key, value in content.items():
        if not isinstance(value, TABLES.get(key, ())):
            raise UnloadableModel(
                f"{path.name} may hold a text description, [[factors]], [outputs], [files]; not {key}"
            )
    return Manifest(
        description=content.get("description"),
        layout=layout_of(content["factors"]) if "factors" in content else None,
        outputs=outputs_of(content.get("outputs", {})),
        digests=dict(digests_of(content.get("files", {}))),
        digest=file.digest,
    )


def layout_of(tables: list[Any]) -> FactorLayout:
    """Return the layout that the ``[[factors]]`` tables describe."""
    layout = FactorLayout.of(factor_of(table) for table in tables)
    names = [factor.name for factor in layout.factors]
    if not names or len(set(names)) != len(names):
        raise UnloadableModel(
            f"flow.toml must name one factor or more, each once. Received: {', '.join(names) or 'none'}"
        )
    return layout


def factor_of(table: Any) -> tuple[str, int, str | None, tuple[float, float] | None]:
    """Check one ``[[factors]]`` table: -> (name, size, description, range)."""
    if not isinstance(table, dict) or not FACTOR_KEYS.issuperset(table):
        raise UnloadableModel(f"a factor in flow.toml has the keys {', '.join(sorted(FACTOR_KEYS))}. Received: {table}")
    name, size, description = check_factor_name(table.get("name")), table.get("size"), table.get("description")
    if not isinstance(size, int) or isinstance(size, bool) or size < 1:
        raise UnloadableModel(f"the size of factor {name} must be an integer of 1 or more. Received: {size!r}")
    if not isinstance(description, str | None):
        raise UnloadableModel(f"the description of factor {name} must be a text. Received: {description!r}")
    return name, size, description, range_of(table.get("range"), name)


def check_factor_name(name: Any) -> str:
    """Return a factor's name if it may be one."""
    if not isinstance(name, str) or not FACTOR_NAME.fullmatch(name) or name in RESERVED_NAMES:
        raise UnloadableModel(
            f"a factor's name must match {FACTOR_NAME.pattern} and not be {', '.join(sorted(RESERVED_NAMES))}. "
            f"Received: {name!r}"
        )
    return name


def range_of(value: Any, name: str) -> tuple[float, float] | None:
    """Check the range of a factor."""
    if value is None:
        return None
    match value:
        case [int() | float() as low, int() | float() as high] if isfinite(low) and isfinite(high) and low < high:
            return float(low), float(high)
    raise UnloadableModel(f"the range of factor {name} must be two numbers, the lower first. Received: {value!r}")


def outputs_of(table: Mapping[str, Any]) -> Outputs:
    """Check the ``[outputs]`` table."""
    shape, kind = table.get("shape"), table.get("kind")
    given = tuple(shape) if isinstance(shape, list) else ()
    if not {"shape", "kind"}.issuperset(table) or not (shape is None or is_shape(given)) or not is_kind(kind):
        raise UnloadableModel(
            f"[outputs] in flow.toml may hold a shape, integers of 1 or more, and a kind, such as 'image'. Received: {table!s:.200}"
        )
    return Outputs(given or None, kind)


def is_kind(value: Any) -> bool:
    """Whether a value is the name of a kind of outputs, or left out."""
    return value is None or is_text(value)


def digests_of(table: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Check the ``[files]`` table: file name to SHA-256 in hexadecimal, perhaps with ``sha256:`` before it."""
    for name, value in table.items():
        digest = str(value).lower().removeprefix("sha256:")
        if not DIGEST.fullmatch(digest) or Path(name).name != name:
            raise UnloadableModel(
                f"[files] in flow.toml maps names of files beside it to SHA-256 digests. Received: {name}"
            )
        yield name, digest


def read_golden(path: Path, digests: Mapping[str, str]) -> Golden | None:
    """Read ``golden.safetensors``, if it was there: latents, codes, logdet.

    Args:
        path: The file.
        digests: What was found in its folder: file name to SHA-256.

    Raises:
        UnloadableModel: The file is damaged, lacks one of the three, or is no longer what it was.
    """
    if path.name not in digests:
        return None
    try:
        file = read_content(path, LARGEST_GOLDEN)
        _, tensors = read_safetensors(file.data)
        golden = Golden(latents=tensors["latents"], codes=tensors["codes"], logdet=tensors["logdet"])
    except (ValueError, KeyError) as error:
        raise UnloadableModel(f"{path.name} must be a safetensors file with latents, codes, logdet: {error}") from error
    check_unchanged(path.name, file.digest, digests)
    return golden


def digest(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal.

    Raises:
        UnloadableModel: It is too large, or no regular file.
    """
    try:
        with open_regular(path, LARGEST_FILE) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except ValueError as error:
        raise UnloadableModel(f"{path.name} can't be loaded: {error}") from error


def check_unchanged(name: str, found: str | None, digests: Mapping[str, str]) -> None:
    """Make sure that what was loaded is what was looked at.

    Args:
        name: The file.
        found: The SHA-256 of what was loaded of it; None where nothing was.
        digests: File name to SHA-256 of what was looked at.

    Raises:
        UnloadableModel: It is not: somebody writes into the folder.
    """
    if found != digests.get(name):
        raise UnloadableModel(
            f"{name} changed while it was loaded; write a version elsewhere, put it in its place by renaming its folder, "
            "and load it again"
        )


def check_digests(folder: Path, manifest: Manifest) -> dict[str, str]:
    """Compute the digests of a version's files, which must be those that its ``flow.toml`` names.

    Args:
        folder: The version's folder.
        manifest: What its ``flow.toml`` says.

    Returns:
        What ``digests_in`` does.

    Raises:
        UnloadableModel: As for ``digests_in`` and ``check_recorded``.
    """
    found = digests_in(folder, manifest)
    check_recorded(manifest, found)
    return found


def digests_in(folder: Path, manifest: Manifest) -> dict[str, str]:
    """Return file name to SHA-256, of every file in a folder that the service reads or the manifest names.

    Raises:
        UnloadableModel: A file is too large, or no regular file.
    """
    return {name: digest(folder / name) for name in (*READ_HERE, *manifest.digests) if (folder / name).is_file()}


def check_recorded(manifest: Manifest, found: Mapping[str, str]) -> None:
    """Make sure that files are those that a manifest names.

    Raises:
        UnloadableModel: A file that the manifest names is missing or another one, or the manifest is no longer what it was.
    """
    check_unchanged(MANIFEST, manifest.digest, found)
    for name, expected in manifest.digests.items():
        if found.get(name) != expected:
            # Clients see this, and a link may lead to anything: its digest would tell what that holds.
            received = "another one" if name in found else "no file"
            raise UnloadableModel(
                f"{name} must have the SHA-256 {expected} that flow.toml records. Received: {received}"
            )
