"""One version of one model: loading is a function from a path to a ``Model``, free of the server."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np

from app.errors import UnloadableModel
from app.manifest import FLOW, GOLDEN, PLAN, Manifest, check_digests, digest, read_golden, read_manifest
from app.tensors import FactorLayout
from gyoza.inference import CompiledFlow, PlanError, load_checked_plan
from gyoza.inference.checks import Check, Golden, GoldenError, failures

WARM_UP_PASSES = 3
WARM_UP_S = 5e-3
"""Quick passes are repeated for so long: of three, each may have been held up."""


class Primitive(StrEnum):
    """What a flow computes; everything else is composed of these."""

    ENCODE = "encode"
    INVERT = "invert"


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
    """How long a pass of so many rows took at warm-up."""
    load_seconds: float = 0.0
    """How long it took to load, prove and warm up."""

    @property
    def flow(self) -> CompiledFlow:
        """The flow, ready to run."""
        return self.loaded.flow


def load(path: Path, loader: Loader, warm_up_rows: Sequence[int]) -> Model:
    """Load, prove and warm up one version.

    Args:
        path: A version folder, or a loose ``.keras`` file.
        loader: What makes a flow of a file.
        warm_up_rows: Passes of so many rows are run and timed.

    Returns:
        The model.

    Raises:
        UnloadableModel: A file is not as it must be, or a check failed.
    """
    start = time.perf_counter()
    if path.is_file():
        manifest, files = Manifest(), {path.name: digest(path)}
        loaded = loader(path, None)
    else:
        manifest = read_manifest(path / "flow.toml")
        files = check_digests(path, manifest)
        loaded = load_version(path, loader, files)
    check_proofs(loaded.checks)
    layout = choose_layout(manifest.layout, loaded)
    seconds = warm_up(loaded.flow, warm_up_rows)
    return Model(loaded, layout, manifest.description, files, seconds, time.perf_counter() - start)


def load_version(folder: Path, loader: Loader, files: Mapping[str, str]) -> Loaded:
    """Load the flow of a version folder: from its plan if there is one, else from its ``.keras`` file."""
    if PLAN not in files and FLOW not in files:
        raise UnloadableModel(f"{FLOW} is missing in {folder.name}, and so is {PLAN}; one of them must be there")
    golden = read_golden(folder / GOLDEN)
    try:
        if PLAN in files:
            return load_with_plan(folder / PLAN, golden, files.get(FLOW))
        return loader(folder / FLOW, golden)
    except GoldenError as error:
        raise UnloadableModel(f"{GOLDEN} does not fit the flow: {error}") from error


def load_with_plan(path: Path, golden: Golden | None, flow_digest: str | None) -> Loaded:
    """Load a flow that was compiled ahead of time, without Keras.

    Args:
        path: The plan's file.
        golden: What the flow must make of some rows.
        flow_digest: The SHA-256 of the ``.keras`` file beside it, if there is one.

    Raises:
        UnloadableModel: The file can't be loaded, or does not say that it was made of this ``.keras`` file.
    """
    try:
        loaded, proof = load_checked_plan(path, golden)
    except PlanError as error:
        raise UnloadableModel(str(error)) from error
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


def warm_up(flow: CompiledFlow, rows: Sequence[int]) -> dict[Primitive, dict[int, float]]:
    """Run either direction on each count of rows, so that the first request is no slower, and time the passes."""
    seconds: dict[Primitive, dict[int, float]] = {primitive: {} for primitive in Primitive}
    for count in rows:
        codes = np.zeros((count, *flow.code_shape), flow.dtype)
        latents = flow.invert(codes)
        seconds[Primitive.INVERT][count] = fastest(partial(flow.invert, codes))
        seconds[Primitive.ENCODE][count] = fastest(partial(flow.encode, latents))
    return seconds


def fastest(call: Callable[[], object]) -> float:
    """Return the seconds of the fastest of a few calls."""
    seconds: list[float] = []
    while len(seconds) < WARM_UP_PASSES or sum(seconds) < WARM_UP_S:
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def load_with_keras(path: Path, golden: Golden | None) -> Loaded:
    """Load a flow by the library, which needs Keras.

    Raises:
        UnloadableModel: Keras is not installed, or the file can't be loaded.
    """
    # What TensorFlow prints about the processor is no news to who serves; its oneDNN kernels announce themselves anyway.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    try:
        from gyoza.loading import LoadError, load_flow  # noqa: PLC0415 - an optional extra.
    except ImportError as error:
        raise UnloadableModel(
            f"loading {path.name} needs Keras, which is not installed ({error}). "
            "Install the extra cpu or gpu: pip install 'gyoza-serve[cpu]'"
        ) from error
    try:
        return load_flow(path, golden)
    except LoadError as error:
        raise UnloadableModel(str(error)) from error
