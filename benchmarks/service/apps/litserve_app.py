"""LitServe with dynamic batching."""

from typing import Any

import litserve
import numpy as np

from benchmarks.flows.specs import Floats, FlowSpec
from benchmarks.service.apps.common import HOST, arguments, compiled_encoder


class FlowAPI(litserve.LitAPI):
    """Encodes the rows of all requests that wait."""

    measured: FlowSpec

    def setup(self, device: Any) -> None:
        """Load the flow."""
        self.encode = compiled_encoder(self.measured)

    def decode_request(self, request: dict[str, Any]) -> Floats:
        """Make an array of one body."""
        return np.asarray(request["latents"], dtype=np.float32)

    def batch(self, inputs: list[Floats]) -> tuple[Floats, list[int]]:
        """Join arrays, and remember how long each is."""
        return np.concatenate(inputs), [len(rows) for rows in inputs]

    def predict(self, x: Any) -> Any:
        """Encode a batch, or the array of a lone request, which LitServe does not batch."""
        if isinstance(x, np.ndarray):
            return self.encode(x)
        latents, sizes = x
        return *self.encode(latents), sizes

    def unbatch(self, output: Any) -> list[tuple[Floats, Floats]]:
        """Part a batch into its requests."""
        codes, logdet, sizes = output
        ends = np.cumsum(sizes)[:-1]
        return list(zip(np.split(codes, ends), np.split(logdet, ends), strict=True))

    def encode_response(self, output: Any) -> dict[str, Any]:
        """Answer nested lists."""
        codes, logdet = output[:2]
        return {"codes": codes.tolist(), "logdet": logdet.tolist()}


if __name__ == "__main__":
    port, flow = arguments()
    api = FlowAPI(max_batch_size=64, batch_timeout=0.001, api_path="/encode")
    api.measured = flow
    litserve.LitServer(api, accelerator="cpu", workers_per_device=1, fast_queue=False, timeout=60).run(
        host=HOST, port=port, num_api_servers=1, log_level="warning", generate_client_file=False
    )
