"""``gyoza check``: what the service would find when it loads a flow."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from typing import Annotated

import typer

from app.commands.ending import ending_cleanly
from app.commands.options import Json, TrustedModules, trusted_of
from app.commands.versions import Version, half_loader_of, loader_of, newest
from app.errors import UnloadableModel
from app.halves import Beside, Half, HalfLoader, load_beside, load_half_with_keras
from app.manifest import MANIFEST, Manifest, check_recorded, digest, digests_in, read_manifest
from app.model import Loaded, Loader, choose_layout, load_files, telling_unreadable
from app.primitives import limited, warm_up, warm_up_rows
from app.settings import Settings
from gyoza.inference.checks import GOLDEN_CHECK, Check

__all__ = ["check"]

BATCH_ROWS: int = Settings.model_fields["max_batch_rows"].default


@dataclass(frozen=True)
class Finding:
    """What one check found."""

    name: str
    passed: bool | None
    """None where there is nothing to check, since nothing was recorded."""
    detail: str
    error: float | None = None
    """Of checks with figures; None also where it is not finite."""
    limit: float | None = None


def check(
    path: Annotated[
        Path,
        typer.Argument(metavar="PATH", help="A folder of a version or of a model (its newest), .keras, or a plan."),
    ],
    trusted_modules: TrustedModules = "",
    as_json: Json = False,
) -> None:
    """Run the service's load checks on a flow, and show their figures.

    All that can be run is, also behind one that fails; then the code is 1.

    Example: gyoza check models/digits
    """
    with ending_cleanly(ValueError):
        version = newest(path)
        findings = []
        if not as_json:
            typer.echo(version.path)
        trusted = trusted_of(trusted_modules)
        for finding in examined(version.path, loader_of(trusted), half_loader_of(trusted)):
            findings.append(finding)
            if not as_json:
                typer.echo(line_of(finding))
    if as_json:
        typer.echo(json.dumps(report(version, findings), indent=2, allow_nan=False))
    raise typer.Exit(int(any(finding.passed is False for finding in findings)))


def examined(path: Path, loader: Loader, half_loader: HalfLoader = load_half_with_keras) -> Iterator[Finding]:
    """Do one by one what ``app.model.load`` does, and go on behind what fails as long as there is something to go on with.

    Args:
        path: A version folder, a ``.keras`` file, or a plan.
        loader: What makes a flow of a ``.keras`` file.
        half_loader: What makes a half of one.

    Yields:
        What each check found.
    """
    try:
        with telling_unreadable(path):
            manifest, files, finding = found_in(path)
        yield finding
        with telling_unreadable(path):
            loaded = load_files(path, loader, files)
    except Exception as error:  # noqa: BLE001 - the service, too, takes what a loader raises for a fault of the file.
        yield Finding("loads", False, told(error))
        return
    yield from figures_of(loaded)
    yield layout_of(manifest, loaded)
    beside = Beside()
    try:
        if path.is_dir():
            with telling_unreadable(path):
                beside = load_beside(path, half_loader, loaded.flow, manifest.outputs, files)
            yield from beside_of(beside)
    except Exception as error:  # noqa: BLE001 - likewise.
        yield Finding("beside the flow", False, told(error))
    try:
        rows = warm_up_rows(BATCH_ROWS)
        slow = limited(warm_up(loaded.flow, beside, rows), BATCH_ROWS)
        text = f"passes of {', '.join(map(str, rows))} rows, both ways"
        for primitive, (most, seconds) in slow.items():
            text += f"; {primitive} of no more than {most}, which take {seconds:.1f} s"
        yield Finding("warm-up", True, text)
    except Exception as error:  # noqa: BLE001 - likewise.
        yield Finding("warm-up", False, told(error))


def found_in(path: Path) -> tuple[Manifest, dict[str, str], Finding]:
    """Look at a version's files: -> what is told of them, their digests, whether those are the ones recorded."""
    if path.is_file():
        return Manifest(), {path.name: digest(path)}, Finding("digests", None, "a file by itself has none recorded")
    try:
        manifest = read_manifest(path / MANIFEST)
    except UnloadableModel as error:
        return Manifest(), digests_in(path, Manifest()), Finding(MANIFEST, False, str(error))
    files = digests_in(path, manifest)
    try:
        check_recorded(manifest, files)
    except UnloadableModel as error:
        return manifest, files, Finding("digests", False, str(error))
    if not manifest.digests:
        return manifest, files, Finding("digests", None, f"not recorded in {MANIFEST}")
    return manifest, files, Finding("digests", True, f"{len(manifest.digests)} files are as {MANIFEST} records")


def figures_of(loaded: Loaded) -> Iterator[Finding]:
    """Yield what the checks of the flow itself found."""
    yield from map(figure_of, loaded.checks)
    if GOLDEN_CHECK not in {one.name for one in loaded.checks}:
        yield Finding(GOLDEN_CHECK, None, "not recorded")


def figure_of(one: Check, of: str = "") -> Finding:
    """Return what one check found, with its figures."""
    error = one.error if isfinite(one.error) else None
    return Finding(of + one.name, one.passed, f"error {one.error:.3g}, limit {one.limit:.3g}", error, one.limit)


def beside_of(beside: Beside) -> Iterator[Finding]:
    """Yield what the checks of the halves found, and what examples there are."""
    halves: dict[str, Half | None] = {"encoder": beside.encoder, "decoder": beside.decoder}
    for name, half in halves.items():
        for one in half.loaded.checks if half else ():
            yield figure_of(one, f"{name} ")
    if beside.examples is not None:
        yield Finding("examples", True, f"{len(beside.examples['latents'])} rows of {', '.join(beside.examples)}")


def layout_of(manifest: Manifest, loaded: Loaded) -> Finding:
    """Return whether the factors fit the code."""
    try:
        layout = choose_layout(manifest.layout, loaded)
    except UnloadableModel as error:
        return Finding("factors", False, str(error))
    if layout is None:
        return Finding("factors", None, "not recorded")
    return Finding("factors", True, ", ".join(f"{factor.name} {factor.size}" for factor in layout.factors))


def told(error: Exception) -> str:
    """Say what went wrong."""
    return str(error) if isinstance(error, UnloadableModel) else f"{type(error).__name__}: {error}"


def line_of(finding: Finding) -> str:
    """Show what a check found in a line."""
    mark = {True: "ok", False: "FAILED", None: "-"}[finding.passed]
    return f"  {mark:<6}  {finding.name:<29}  {finding.detail}"


def report(version: Version, findings: Sequence[Finding]) -> dict[str, object]:
    """Return all findings, ready for JSON."""
    return {
        "path": str(version.path),
        "model": version.name,
        "version": version.number,
        "passed": all(finding.passed is not False for finding in findings),
        "checks": [asdict(finding) for finding in findings],
    }
