"""BentoML with a batchable API, which answers one array per row: the logdet is its last column."""

import os
import sys

import bentoml
import numpy as np

from benchmarks.flows.specs import FLOWS, Floats
from benchmarks.service.apps.common import HOST, arguments, compiled_encoder

FLOW = "BENCHMARKS_FLOW"
"""BentoML imports this file again in a process that gets no arguments."""


@bentoml.service(workers=1, traffic={"timeout": 60}, logging={"access": {"enabled": False}})
class Flow:
    """Encodes the rows of all requests that wait."""

    def __init__(self) -> None:
        """Load the flow."""
        self._encode = compiled_encoder(FLOWS[os.environ[FLOW]])

    @bentoml.api(batchable=True, batch_dim=0, max_batch_size=2048, max_latency_ms=60000)
    def encode(self, latents: np.ndarray) -> np.ndarray:
        """Encode latents [n, D] to codes with their logdet [n, D + 1]."""
        codes, logdet = self._encode(latents)
        joined: Floats = np.concatenate([codes, logdet[:, None]], axis=1)
        return joined


if __name__ == "__main__":
    port, flow = arguments()
    os.environ |= {FLOW: flow.name, "BENTOML_DO_NOT_TRACK": "True"}
    name = "benchmarks.service.apps.bentoml_app:Flow"
    command = [sys.executable, "-m", "bentoml", "serve", name, "--host", HOST, "--port", str(port)]
    os.execv(sys.executable, command)  # noqa: S606 - this very interpreter.
