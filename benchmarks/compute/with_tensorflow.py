"""``python -m benchmarks.compute.with_tensorflow WAY SECONDS FLOW …`` times one of the ways that Keras offers."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.compute.timing import Way, main
from benchmarks.flows.specs import Floats, FlowSpec
from gyoza.loading import read_model

__all__ = ["WAYS", "Graph", "Layers"]


class Layers:
    """A flow as Keras runs it in eager mode, layer by layer."""

    def __init__(self, spec: FlowSpec) -> None:
        """Load the model."""
        model = read_model(spec.keras_file)
        self._encode: Callable[[Any], Any] = model
        self._invert: Callable[[Any], Any] = model.invert

    def encode(self, latents: Floats) -> tuple[Floats, Floats]:
        """Map latents [n, D] to codes [n, D] and logdet [n]."""
        codes, logdet = self._encode(tf.constant(latents))
        return codes.numpy(), logdet.numpy()

    def invert(self, codes: Floats) -> Floats:
        """Map codes [n, D] to latents [n, D]."""
        latents: Floats = self._invert(tf.constant(codes)).numpy()
        return latents


class Graph(Layers):
    """The same in one graph for each direction, whatever the rows; compiled by XLA or not."""

    def __init__(self, spec: FlowSpec, *, xla: bool) -> None:
        """Load the model; graphs are traced by the first calls."""
        super().__init__(spec)
        signature = [tf.TensorSpec([None, spec.dimensions], np.float32)]
        graph = partial(tf.function, input_signature=signature, jit_compile=xla)
        self._encode, self._invert = (graph(lambda rows, f=f: f(rows)) for f in (self._encode, self._invert))


WAYS: dict[str, Way] = {
    "tf.function": partial(Graph, xla=False),
    "XLA": partial(Graph, xla=True),
    "layers": Layers,
}

if __name__ == "__main__":
    main(WAYS)
