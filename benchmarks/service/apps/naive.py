"""FastAPI the way a tutorial shows it, over a ``tf.function``."""

import numpy as np
from fastapi import FastAPI
from pydantic import BaseModel

from benchmarks.service.apps.common import Encoder, arguments, compiled_encoder, run


class EncodeRequest(BaseModel):
    """Latents as nested lists."""

    latents: list[list[float]]


class EncodeAnswer(BaseModel):
    """Codes and logdet as nested lists."""

    codes: list[list[float]]
    logdet: list[float]


def create(encoder: Encoder) -> FastAPI:
    """Return the application."""
    app = FastAPI()

    @app.post("/encode")
    def encode(request: EncodeRequest) -> EncodeAnswer:
        codes, logdet = encoder(np.asarray(request.latents, dtype=np.float32))
        return EncodeAnswer(codes=codes.tolist(), logdet=logdet.tolist())

    return app


if __name__ == "__main__":
    chosen_port, flow = arguments()
    run(create(compiled_encoder(flow)), chosen_port)
