"""What may lie beside a flow: the halves of the network that its latents are from, and examples."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from app.errors import UnloadableModel
from app.library import PLAN_INSTEAD, needing_keras
from app.manifest import DECODER, DECODER_PLAN, ENCODER, ENCODER_PLAN, EXAMPLES, Outputs, check_unchanged
from gyoza.inference import CompiledFlow, CompiledHalf, LoadedHalf, PlanError, load_checked_half
from gyoza.inference.checks import failures
from gyoza.inference.files.content import read_content
from gyoza.inference.files.reading import read_safetensors
from gyoza.inference.plan import Floats

LARGEST_EXAMPLES = 2**24
"""Bytes: they are sent whole to whoever asks for them."""

HalfLoader = Callable[[Path], LoadedHalf]


@dataclass(frozen=True, eq=False)
class Half:
    """A half that was proven to fit its flow."""

    loaded: LoadedHalf
    run: CompiledHalf
    """Its outputs have the shape that ``flow.toml`` gives them."""
    kind: str | None = None
    """What its outputs are, such as ``image``."""


@dataclass(frozen=True, eq=False)
class Beside:
    """What lies beside a flow; None for what does not."""

    encoder: Half | None = None
    """Inputs to latents."""
    decoder: Half | None = None
    """Latents to outputs."""
    examples: Mapping[str, Floats] | None = None
    """``latents`` [n, *latent_shape], and perhaps the ``inputs`` [n, …] that they were made of."""


def load_beside(
    folder: Path, loader: HalfLoader, flow: CompiledFlow, outputs: Outputs, files: Mapping[str, str]
) -> Beside:
    """Load what lies beside a flow.

    Args:
        folder: The version's.
        loader: What makes a half of a ``.keras`` file.
        flow: With which it must fit.
        outputs: What ``flow.toml`` tells of the decoder's outputs.
        files: File name to SHA-256 of what was found in the folder.

    Raises:
        UnloadableModel: Something can't be loaded, did not pass its checks, does not fit, or is no longer what it was.
    """
    encoder = load_half(folder / ENCODER, folder / ENCODER_PLAN, loader, files)
    decoder = load_half(folder / DECODER, folder / DECODER_PLAN, loader, files)
    if encoder is not None:
        check_fit("encoder", "outputs", encoder.half.output_shape, flow)
    if decoder is not None:
        check_fit("decoder", "inputs", decoder.half.input_shape, flow)
    return Beside(
        None if encoder is None else Half(encoder, encoder.half),
        None if decoder is None else Half(decoder, shaped(decoder.half, outputs), outputs.kind),
        read_examples(folder / EXAMPLES, flow, encoder.half if encoder else None, files),
    )


def load_half(path: Path, plan: Path, loader: HalfLoader, files: Mapping[str, str]) -> LoadedHalf | None:
    """Load a half, if there is one: from its plan where there is that, else from its ``.keras`` file."""
    if plan.name in files:
        loaded = load_half_with_plan(plan, path.name, files)
    elif path.name in files:
        loaded = loader(path)
        if loaded.digest is not None:
            check_unchanged(path.name, loaded.digest, files)
    else:
        return None
    if failed := failures(loaded.checks):
        raise UnloadableModel(f"the {path.stem} does not pass its load checks ({failed})")
    return loaded


def load_half_with_plan(plan: Path, name: str, files: Mapping[str, str]) -> LoadedHalf:
    """Load a half that was compiled ahead of time, of the ``.keras`` file ``name`` if that is there."""
    try:
        loaded, proof = load_checked_half(plan)
    except PlanError as error:
        raise UnloadableModel(str(error)) from error
    check_unchanged(plan.name, loaded.digest, files)
    if files.get(name) not in {None, proof.flow_digest}:
        raise UnloadableModel(
            f"{plan.name} must be compiled from the {name} beside it and record its SHA-256, {files[name]}. Received: "
            f"{proof.flow_digest or 'a plan that records none'}. Compile it anew by gyoza.loading.compile_half, or remove "
            "one of the two"
        )
    return loaded


def check_fit(half: str, side: str, shape: tuple[int, ...], flow: CompiledFlow) -> None:
    """Refuse a half that does not meet the flow in its latents."""
    if shape != flow.latent_shape:
        raise UnloadableModel(
            f"the {side} of the {half} must have the shape of the flow's latents, {list(flow.latent_shape)}. Received: "
            f"{list(shape)}. Put the {half} there whose latents the flow was trained on"
        )


def shaped(decoder: CompiledHalf, outputs: Outputs) -> CompiledHalf:
    """Bring a decoder's outputs into the shape that ``flow.toml`` gives them."""
    try:
        return decoder if outputs.shape is None else decoder.reshaped(outputs.shape)
    except ValueError as error:
        raise UnloadableModel(
            f"the shape of [outputs] in flow.toml does not fit the decoder's outputs: {error}"
        ) from error


def read_examples(
    path: Path, flow: CompiledFlow, encoder: CompiledHalf | None, files: Mapping[str, str]
) -> Mapping[str, Floats] | None:
    """Read the examples, if there are any: latents, and perhaps the inputs that they were made of.

    Raises:
        UnloadableModel: The file is damaged, holds none, others than fit the flow and the encoder, or numbers that are not
            finite; or is no longer what it was.
    """
    if path.name not in files:
        return None
    try:
        file = read_content(path, LARGEST_EXAMPLES)
        _, tensors = read_safetensors(file.data)
        latents = example_rows(tensors, "latents", flow.latent_shape, flow.dtype)
        examples = {"latents": latents}
        if "inputs" in tensors:
            shape = tensors["inputs"].shape[1:] if encoder is None else encoder.input_shape
            examples["inputs"] = example_rows(tensors, "inputs", shape, flow.dtype, len(latents))
    except (ValueError, KeyError) as error:
        raise UnloadableModel(f"{path.name} must be a safetensors file with examples: {error}") from error
    check_unchanged(path.name, file.digest, files)
    return examples


def example_rows(
    tensors: Mapping[str, Any], name: str, shape: tuple[int, ...], dtype: np.dtype[Any], rows: int | None = None
) -> Floats:
    """Return one tensor of the examples in the flow's dtype."""
    array = tensors.get(name)
    if array is None or array.ndim != len(shape) + 1 or array.shape[1:] != shape or len(array) != (rows or len(array)):
        expected = ", ".join(map(str, (rows or "n", *shape)))
        raise ValueError(f"{name} must have the shape [{expected}]. Received: {getattr(array, 'shape', 'none')}")
    if array.dtype.kind != "f" or not array.size:
        raise ValueError(f"{name} must hold floats, one row or more. Received: {array.dtype}, {len(array)} rows")
    with np.errstate(over="ignore"):
        found: Floats = array.astype(dtype)
    if not np.isfinite(found).all():
        raise ValueError(f"{name} must be finite in {dtype}")
    return found


def load_half_with_keras(path: Path, trusted_modules: Iterable[str] = ()) -> LoadedHalf:
    """Load a half by the library, which needs Keras.

    Args:
        path: A ``.keras`` file.
        trusted_modules: Modules that are imported first, and whose registered classes the file may name.

    Raises:
        UnloadableModel: Keras is not installed, or the file can't be loaded.
    """
    with needing_keras(f"loading {path.name}", PLAN_INSTEAD) as loading:
        return cast("LoadedHalf", loading.load_half(path, trusted_modules))
