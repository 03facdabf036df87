"""What the servers share: their arguments, the encoder that they serve, and how an ASGI application is run."""

import os
from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any

import numpy as np

# Before Keras is imported, so that its backend keeps quiet.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from benchmarks.flows.specs import FLOWS, ROWS, Floats, FlowSpec

__all__ = ["HOST", "arguments", "compiled_encoder", "run"]

HOST = "127.0.0.1"
Encoder = Callable[[Floats], tuple[Floats, Floats]]
"""Latents [n, D] to codes [n, D] and logdet [n]."""


def arguments() -> tuple[int, FlowSpec]:
    """Return the port and the flow that the command line names."""
    parser = ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--flow", choices=FLOWS, required=True)
    given = parser.parse_args()
    return given.port, FLOWS[given.flow]


def compiled_encoder(spec: FlowSpec) -> Encoder:
    """Return what somebody without this service would write: the saved model in a ``tf.function``, called once before."""
    import tensorflow as tf  # noqa: PLC0415 - servers that do not need it start in a tenth of the time.

    from gyoza.loading import read_model  # noqa: PLC0415 - likewise.

    graph = tf.function(read_model(spec.keras_file), input_signature=[tf.TensorSpec([None, spec.dimensions])])

    def encode(latents: Floats) -> tuple[Floats, Floats]:
        codes, logdet = graph(tf.constant(np.asarray(latents, np.float32)))
        return codes.numpy(), logdet.numpy()

    for rows in ROWS:
        encode(np.zeros((rows, spec.dimensions), np.float32))
    return encode


def run(app: Any, port: int) -> None:
    """Serve an ASGI application on this machine only, with what makes uvicorn fast."""
    import uvicorn  # noqa: PLC0415 - not every environment has it.

    uvicorn.run(
        app,
        host=HOST,
        port=port,
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
        lifespan="off",
    )
