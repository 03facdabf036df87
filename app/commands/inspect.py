"""``gyoza inspect``: what a flow's files hold, told without running them."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.commands.ending import ending_cleanly
from app.commands.options import Json, TrustedModules, trusted_of
from app.commands.versions import Version, newest
from app.errors import UnloadableModel
from app.library import needing_keras
from app.manifest import FLOW, MANIFEST, PLAN, Manifest, digest, read_manifest
from app.model import telling_unreadable
from app.tensors import FactorLayout
from gyoza.inference import Plan, PlanError, read_plan

if TYPE_CHECKING:
    from gyoza.loading.description import Description, LayerNote

__all__ = ["inspect"]

NO_KERAS = "not listed, since that needs Keras, the extra cpu of gyoza-serve: pip install '.[cpu]' in the checkout"


@dataclass(frozen=True)
class FileNote:
    """What there is to tell of a file."""

    name: str
    size: int
    """In bytes."""
    sha256: str
    as_recorded: bool | None
    """Whether it is the one that ``flow.toml`` records; None where it records none."""


@dataclass(frozen=True, eq=False)
class Content:
    """What a version holds."""

    version: Version
    manifest: Manifest
    plan: Plan
    """The one that lies there, or the one that the flow is lowered to."""
    layers: "Sequence[LayerNote] | None"
    """None where they can't be listed."""
    files: Sequence[FileNote]

    @property
    def layout(self) -> FactorLayout | None:
        """The factors: those of ``flow.toml``, else of the flow's own file."""
        sizes = (self.plan.origin and self.plan.origin.factors) or {}
        own = FactorLayout.of((name, size, None, None) for name, size in sizes.items())
        return self.manifest.layout or (own if sizes else None)


def inspect(
    path: Annotated[
        Path,
        typer.Argument(metavar="PATH", help="A folder of a version or of a model (its newest), .keras, or a plan."),
    ],
    trusted_modules: TrustedModules = "",
    as_json: Json = False,
) -> None:
    """Show what a flow's files hold: layers, sizes, factors, digests.

    Nothing is run, so nothing is proven by it; that is what gyoza check does.

    Example: gyoza inspect models/digits
    """
    with ending_cleanly(ValueError, UnloadableModel):
        version = newest(path)
        with telling_unreadable(version.path):
            content = content_of(version, trusted_of(trusted_modules))
    if as_json:
        typer.echo(json.dumps(report(content), indent=2))
    else:
        typer.echo("\n".join(lines_of(content)))


def content_of(version: Version, trusted: tuple[str, ...]) -> Content:
    """Look at all that a version holds.

    Raises:
        UnloadableModel: Its flow, its plan or its manifest can't be read.
    """
    path = version.path
    manifest = read_manifest(path / MANIFEST) if path.is_dir() else Manifest()
    flow_path, plan_path = parts_at(path)
    plan, layers = None if plan_path is None else plan_at(plan_path), None
    if flow_path is not None and (plan is None or keras_is_there()):
        described = description_at(flow_path, trusted)
        plan, layers = plan or described.plan, described.layers
    if plan is None:
        raise UnloadableModel(f"{path} must hold {FLOW} or {PLAN}; put one of them there")
    return Content(version, manifest, plan, layers, list(files_of(path, manifest)))


def parts_at(path: Path) -> tuple[Path | None, Path | None]:
    """Return where the flow and the plan of a version lie, each if it is there."""
    if path.is_file():
        return (None, path) if path.suffix == Path(PLAN).suffix else (path, None)
    flow, plan = path / FLOW, path / PLAN
    return flow if flow.exists() else None, plan if plan.exists() else None


def keras_is_there() -> bool:
    """Whether Keras can be imported, without importing it."""
    try:
        return find_spec("keras") is not None
    except ValueError:  # It was imported in a way of somebody's own.
        return False


def description_at(path: Path, trusted: tuple[str, ...]) -> "Description":
    """Describe the flow of a ``.keras`` file."""
    with needing_keras(f"reading {path.name}"):
        from gyoza.loading import describe_flow  # noqa: PLC0415 - Keras is an optional extra.

        return describe_flow(path, trusted)


def plan_at(path: Path) -> Plan:
    """Read a plan."""
    try:
        return read_plan(path).plan
    except PlanError as error:
        raise UnloadableModel(str(error)) from error


def files_of(path: Path, manifest: Manifest) -> Iterator[FileNote]:
    """Yield every file of a version, and those that are recorded and missing not."""
    for file in [path] if path.is_file() else sorted(path.iterdir()):
        if file.is_file():
            found, recorded = digest(file), manifest.digests.get(file.name)
            yield FileNote(file.name, file.stat().st_size, found, None if recorded is None else recorded == found)


def lines_of(content: Content) -> Iterator[str]:
    """Yield what is shown, line by line."""
    plan, origin = content.plan, content.plan.origin
    yield f"{content.version.path}" + (f": {content.manifest.description}" if content.manifest.description else "")
    yield f"latents {list(plan.latent_shape)} to codes {list(plan.code_shape)} in {plan.dtype}"
    if origin is not None:
        made = ", ".join(f"{name} {number}" for name, number in origin.libraries.items())
        yield f"{origin.layers} layers, {origin.parameters:,} parameters; made with {made}"
    yield from ("", "factors", *factor_lines(content.layout))
    yield from ("", "layers", *layer_lines(content.layers))
    counts = Counter(type(step).__name__ for step in plan.steps)
    yield from ("", f"steps of its plan: {', '.join(f'{count} {kind}' for kind, count in counts.items())}")
    yield from ("", "files", *map(file_line, content.files))
    found = {note.name for note in content.files}
    yield from (
        f"  {name}  MISSING, though {MANIFEST} records it" for name in content.manifest.digests if name not in found
    )


def factor_lines(layout: FactorLayout | None) -> Iterator[str]:
    """Yield a line for each factor."""
    if layout is None:
        yield "  none named"
        return
    for factor in layout.factors:
        last = factor.start + factor.size - 1
        more = "" if factor.range is None else f"  {factor.range[0]:g} to {factor.range[1]:g}"
        more += "" if factor.description is None else f"  {factor.description}"
        yield f"  {factor.name:<16}  {factor.size:>5}  columns {factor.start} to {last}{more}"


def layer_lines(layers: "Sequence[LayerNote] | None") -> Iterator[str]:
    """Yield a line for each layer."""
    if layers is None:
        yield f"  {NO_KERAS}"
        return
    for number, layer in enumerate(layers):
        yield f"  {number:>3}  {layer.kind:<28}  {layer.parameters:>10,}  to {list(layer.output_shape)}  {layer.name}"


def file_line(note: FileNote) -> str:
    """Return the line of a file."""
    recorded = {True: "as recorded", False: f"NOT the one that {MANIFEST} records", None: "not recorded"}[
        note.as_recorded
    ]
    return f"  {note.name:<22}  {note.size:>12,} bytes  {note.sha256}  {recorded}"


def report(content: Content) -> Mapping[str, Any]:
    """Return all of it, ready for JSON."""
    plan, origin, layout = content.plan, content.plan.origin, content.layout
    return {
        "path": str(content.version.path),
        "model": content.version.name,
        "version": content.version.number,
        "description": content.manifest.description,
        "latent_shape": plan.latent_shape,
        "code_shape": plan.code_shape,
        "dtype": plan.dtype.name,
        "parameters": origin and origin.parameters,
        "libraries": origin and dict(origin.libraries),
        "factors": layout and [asdict(factor) for factor in layout.factors],
        "layers": None if content.layers is None else [asdict(layer) for layer in content.layers],
        "steps": [type(step).__name__ for step in plan.steps],
        "files": [asdict(note) for note in content.files],
    }
