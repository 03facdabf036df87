"""Build the flows from this library's own layers, with weights from a fixed seed, and write all files of them.

``python -m benchmarks.flows.building NAME …`` writes those of the named flows.
"""

import shutil
import sys
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from benchmarks.flows.specs import FLOWS, REFLECTIONS, Floats, FlowSpec, latents_of
from gyoza.inference import compile_flow
from gyoza.modelling.flow_layers import (
    ActivationNormalization,
    AdditiveCoupling,
    AffineCoupling,
    FlowModel,
    HeavisidePermutation,
    Reflection,
)
from gyoza.modelling.masks import HeavisideMask
from gyoza.modelling.networks import dense_network
from gyoza.modelling.reference import LayeredFlow

__all__ = ["build_flow", "make", "weights_of"]

SEED = 20240607
LAYERS_PER_BLOCK = 6
GAINS = {AdditiveCoupling: 1.0, AffineCoupling: 0.2}
"""How large a coupling's parameters are: sixteen couplings that scale by more blow up what rounding left."""


def build_flow(spec: FlowSpec) -> FlowModel:
    """Return the built flow, with weights drawn from a fixed seed."""
    model = FlowModel([layer for _ in range(spec.blocks) for layer in block(spec)])
    model.build((None, spec.dimensions))
    random = np.random.default_rng(SEED)
    for layer in model._flow_layers_:
        draw(layer, random)
    return model


def block(spec: FlowSpec) -> Iterator[Any]:
    """Yield the layers of one block."""
    at: dict[str, Any] = {"shape": [spec.dimensions], "axes": [1]}
    yield ActivationNormalization(**at)
    yield Reflection(**at, reflection_count=REFLECTIONS)
    for _ in range(2):
        yield coupling(spec, {**at, "mask": HeavisideMask(**at)})
        yield HeavisidePermutation(**at)


def coupling(spec: FlowSpec, at: dict[str, Any]) -> Any:
    """Return one coupling."""
    network = partial(dense_network, spec.dimensions, widths=[spec.hidden] * 2, activation="relu")
    if spec.bound is None:
        return AdditiveCoupling(**at, compute_coupling_parameters=network(1))
    return AffineCoupling(**at, compute_coupling_parameters=network(2), log_scale_bound=spec.bound)


def draw(layer: Any, random: np.random.Generator) -> None:
    """Give a layer weights that keep codes of the size of their latents."""
    if isinstance(layer, ActivationNormalization):
        size = layer._scale_.shape
        layer._location_.assign(random.normal(0, 0.1, size))
        layer._scale_.assign(np.exp(random.normal(0, 0.1, size)))
    elif isinstance(layer, Reflection):
        layer._reflection_normals_.assign(random.normal(size=layer._reflection_normals_.shape))
    elif isinstance(layer, AdditiveCoupling | AffineCoupling):
        *hidden, last, last_bias = layer._compute_coupling_parameters_.weights
        for weight in (*hidden, last_bias):
            deviation = 1 / np.sqrt(weight.shape[0]) if len(weight.shape) == 2 else 0.05
            weight.assign(random.normal(0, deviation, weight.shape))
        gain = GAINS[type(layer)]
        last.assign(random.normal(0, gain / np.sqrt(last.shape[0]), last.shape))


def weights_of(model: FlowModel) -> dict[str, Floats]:
    """Return the weights of a flow of ``build_flow``.

    Returns:
        ``<block>/location``, ``<block>/scale`` [D], ``<block>/normals`` [R, D], and of each coupling, 0 or 1,
        ``<block>/<coupling>/<index>``: kernel and bias of each layer of its network.
    """
    found: dict[str, Floats] = {}
    for index in range(0, len(model._flow_layers_), LAYERS_PER_BLOCK):
        name = index // LAYERS_PER_BLOCK
        normalization, reflection, first, _, second, _ = model._flow_layers_[index : index + LAYERS_PER_BLOCK]
        found[f"{name}/location"] = np.asarray(normalization._location_)
        found[f"{name}/scale"] = np.asarray(normalization._scale_)
        found[f"{name}/normals"] = np.asarray(reflection._reflection_normals_)
        for number, layer in enumerate((first, second)):
            weights = layer._compute_coupling_parameters_.weights
            found |= {f"{name}/{number}/{place}": np.asarray(weight) for place, weight in enumerate(weights)}
    return found


def make(spec: FlowSpec) -> None:
    """Write all files of a flow, in place of what was there."""
    shutil.rmtree(spec.folder, ignore_errors=True)
    spec.keras_models.mkdir(parents=True)
    model = build_flow(spec)
    model.save(spec.keras_file)
    np.savez(spec.weights_file, **weights_of(model))  # type: ignore[arg-type]
    layers, latents = LayeredFlow(model), latents_of(spec)
    codes, logdet = layers.encode(latents)
    np.savez(spec.answers_file, latents=latents, codes=codes, logdet=logdet, returned=layers.invert(codes))
    spec.plan_file.parent.mkdir(parents=True)
    compile_flow(model).save(spec.plan_file)


if __name__ == "__main__":
    for wanted in sys.argv[1:]:
        make(FLOWS[wanted])
