"""One version of one model: loading is a function from a path to a ``Model``, free of the server."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, cast

from app.errors import UnloadableModel
from app.halves import Beside, HalfLoader, load_beside, load_half_with_keras
from app.library import PLAN_INSTEAD, needing_keras
from app.manifest import (
    FLOW,
    GOLDEN,
    MANIFEST,
    PLAN,
    Manifest,
    check_digests,
    check_unchanged,
    digest,
    read_golden,
    read_manifest,
)
from app.primitives import Primitive, warm_up
from app.tensors import FactorLayout
from gyoza.inference import CompiledFlow, PlanError, load_checked_plan
from gyoza.inference.checks import Check, Golden, GoldenError, failures


class Loaded(Protocol):
    """What a loader returns; see ``gyoza.inference.LoadedFlow``."""

    @property
    def flow(self) -> CompiledFlow:
        """The flow, ready to run."""

    @property
    def factors(self) -> Mapping[str, int] | None:
        """Factor names and sizes from the file's own config, the residual first."""

    @property
    def layers(self) -> int | None:
        """How many flow layers it has; None where that is not recorded."""

    @property
    def parameters(self) -> int | None:
        """How many numbers its weights hold; None where that is not recorded."""

    @property
    def libraries(self) -> Mapping[str, str]:
        """Library name to version."""

    @property
    def checks(self) -> tuple[Check, ...]:
        """What its load checks found."""

    @property
    def digest(self) -> str | None:
        """The SHA-256 of the bytes that it was made of; None where the loader does not tell."""


Loader = Callable[[Path, Golden | None], Loaded]


@dataclass(frozen=True, eq=False)
class Model:
    """A version that was loaded and proven: all that serving it needs."""

    loaded: Loaded
    layout: FactorLayout | None
    description: str | None
    files: Mapping[str, str]
    """File name to SHA-256."""
    seconds: Mapping[Primitive, Mapping[int, float]]
    """How long a pass of so many rows took at warm-up, of each primitive that there is."""
    beside: Beside = field(default_factory=Beside)
    """The halves of the network that the latents are from, and examples."""
    load_seconds: float = 0.0
    """How long it took to load, prove and warm up."""

    @property
    def flow(self) -> CompiledFlow:
        """The flow, ready to run."""
        return self.loaded.flow

    @property
    def calls_code(self) -> bool:
        """Whether the flow or a half calls code of Keras."""
        halves = (self.beside.encoder, self.beside.decoder)
        return self.flow.calls_code or any(half.run.calls_code for half in halves if half is not None)

    @property
    def traces(self) -> int:
        """How often a backend traced what the flow and the halves call."""
        halves = (self.beside.encoder, self.beside.decoder)
        return self.flow.traces + sum(half.run.traces for half in halves if half is not None)


def load(
    path: Path, loader: Loader, warm_up_rows: Sequence[int], half_loader: HalfLoader = load_half_with_keras
) -> Model:
    """Load, prove and warm up one version.

    Args:
        path: A version folder, a loose ``.keras`` file, or a plan by itself.
        loader: What makes a flow of a file.
        warm_up_rows: Passes of so many rows are run and timed.
        half_loader: What makes a half of a file.

    Returns:
        The model.

    Raises:
        UnloadableModel: A file is not as it must be, changes meanwhile, or a check failed.
    """
    start = time.perf_counter()
    beside = Beside()
    with telling_unreadable(path):
        manifest, files = digested(path)
        loaded = load_files(path, loader, files)
        check_proofs(loaded.checks)
        layout = choose_layout(manifest.layout, loaded)
        if path.is_dir():
            beside = load_beside(path, half_loader, loaded.flow, manifest.outputs, files)
    seconds = warm_up(loaded.flow, beside, warm_up_rows)
    return Model(loaded, layout, manifest.description, files, seconds, beside, time.perf_counter() - start)


@contextmanager
def telling_unreadable(path: Path) -> Iterator[None]:
    """Say which of a version's files can't be read."""
    try:
        yield
    except OSError as error:
        name = Path(error.filename).name if isinstance(error.filename, str) else path.name
        raise UnloadableModel(f"{name} can't be read: {error.strerror}; let the server's user read it") from error


def load_files(path: Path, loader: Loader, files: Mapping[str, str]) -> Loaded:
    """Load the flow of a version's folder, of a loose ``.keras`` file, or of a plan by itself.

    Args:
        path: Where it lies.
        loader: What makes a flow of a ``.keras`` file.
        files: File name to SHA-256 of what was found there.

    Returns:
        The flow, and what its checks found, passed or not.

    Raises:
        UnloadableModel: A file is not as it must be, or no longer what it was.
    """
    if not path.is_file():
        return load_version(path, loader, files)
    if path.suffix == Path(PLAN).suffix:
        return load_with_plan(path, None, files)
    return load_alone(path, loader, None, files)


def digested(path: Path) -> tuple[Manifest, Mapping[str, str]]:
    """Look at what lies in a version's folder, or at a loose file: -> what is told of it, the files' digests."""
    if path.is_file():
        return Manifest(), {path.name: digest(path)}
    manifest = read_manifest(path / MANIFEST)
    return manifest, check_digests(path, manifest)


def is_unchanged(path: Path, model: Model) -> bool:
    """Whether a version's files are, all of them, those that a model was made of."""
    try:
        return digested(path)[1] == model.files
    except (OSError, UnloadableModel):
        return False


def load_alone(path: Path, loader: Loader, golden: Golden | None, files: Mapping[str, str]) -> Loaded:
    """Load the flow of a ``.keras`` file, which must still be the one that was digested."""
    loaded = loader(path, golden)
    if loaded.digest is not None:
        check_unchanged(path.name, loaded.digest, files)
    return loaded


def load_version(folder: Path, loader: Loader, files: Mapping[str, str]) -> Loaded:
    """Load the flow of a version folder: from its plan if there is one, else from its ``.keras`` file."""
    if PLAN not in files and FLOW not in files:
        raise UnloadableModel(f"{FLOW} is missing in {folder.name}, and so is {PLAN}; one of them must be there")
    golden = read_golden(folder / GOLDEN, files)
    try:
        if PLAN in files:
            return load_with_plan(folder / PLAN, golden, files)
        return load_alone(folder / FLOW, loader, golden, files)
    except GoldenError as error:
        raise UnloadableModel(f"{GOLDEN} does not fit the flow: {error}") from error


def load_with_plan(path: Path, golden: Golden | None, files: Mapping[str, str]) -> Loaded:
    """Load a flow that was compiled ahead of time, without Keras.

    Args:
        path: The plan's file.
        golden: What the flow must make of some rows.
        files: File name to SHA-256, the plan's own and that of the ``.keras`` file beside it, if there is one.

    Raises:
        UnloadableModel: The file can't be loaded, is no longer what it was, or does not say that it was made of this
            ``.keras`` file.
    """
    try:
        loaded, proof = load_checked_plan(path, golden)
    except PlanError as error:
        raise UnloadableModel(str(error)) from error
    check_unchanged(path.name, loaded.digest, files)
    flow_digest = files.get(FLOW)
    if flow_digest not in {None, proof.flow_digest}:
        raise UnloadableModel(
            f"{path.name} must be compiled from the {FLOW} beside it and record its SHA-256, {flow_digest}. Received: "
            f"{proof.flow_digest or 'a plan that records none'}. Compile it anew by gyoza.loading.compile_file, or remove "
            "one of the two"
        )
    return loaded


def check_proofs(checks: Sequence[Check]) -> None:
    """Refuse a flow of which a check failed, with the figures."""
    if failed := failures(checks):
        raise UnloadableModel(f"the flow does not pass its load checks ({failed})")


def choose_layout(recorded: FactorLayout | None, loaded: Loaded) -> FactorLayout | None:
    """Return the factor layout: the one of ``flow.toml``, else that of the file's own config.

    Raises:
        UnloadableModel: A layout does not cover the code.
    """
    sizes = loaded.factors or {}
    own = FactorLayout.of((name, size, None, None) for name, size in sizes.items()) if sizes else None
    shape = loaded.flow.code_shape
    for source, layout in (("flow.toml", recorded), ("the file's own config", own)):
        if layout is not None and (layout.size,) != shape:
            raise UnloadableModel(
                f"the factors in {source} must have as many columns as a code, whose shape is {list(shape)}. "
                f"Received: {layout.size}"
            )
    return recorded or own


def load_with_keras(path: Path, golden: Golden | None, trusted_modules: Iterable[str] = ()) -> Loaded:
    """Load a flow by the library, which needs Keras.

    Args:
        path: A ``.keras`` file.
        golden: What the flow must make of some rows.
        trusted_modules: Modules that are imported first, and whose registered classes the file may name.

    Raises:
        UnloadableModel: Keras is not installed, or the file can't be loaded.
    """
    with needing_keras(f"loading {path.name}", PLAN_INSTEAD) as loading:
        return cast("Loaded", loading.load_flow(path, golden, trusted_modules))
