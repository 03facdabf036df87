"""Ray Serve with ``@serve.batch``, one replica."""

import os
import signal
import threading
from typing import Any

os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1"}

import numpy as np
import ray
from ray import serve
from ray.serve.config import HTTPOptions
from starlette.requests import Request

from benchmarks.flows.specs import FLOWS, Floats
from benchmarks.service.apps.common import HOST, arguments, compiled_encoder


@serve.deployment(
    num_replicas=1,
    max_ongoing_requests=256,
    ray_actor_options={"num_cpus": 0.5},
    logging_config={"enable_access_log": False, "log_level": "WARNING"},
)
class Flow:
    """Encodes the rows of all requests that wait."""

    def __init__(self, name: str) -> None:
        """Load the flow."""
        self._encode = compiled_encoder(FLOWS[name])

    @serve.batch(max_batch_size=64, batch_wait_timeout_s=0.001)
    async def batched(self, arrays: list[Floats]) -> list[tuple[Floats, Floats]]:
        """Encode the arrays of several requests."""
        codes, logdet = self._encode(np.concatenate(arrays))
        ends = np.cumsum([len(array) for array in arrays])[:-1]
        return list(zip(np.split(codes, ends), np.split(logdet, ends), strict=True))

    async def __call__(self, request: Request) -> dict[str, Any]:
        """Answer nested lists."""
        latents = np.asarray((await request.json())["latents"], dtype=np.float32)
        codes, logdet = await self.batched(latents)
        return {"codes": codes.tolist(), "logdet": logdet.tolist()}


def start(port: int, name: str) -> None:
    """Start Ray and serve; threads as the other servers have them, since Ray would pin them to num_cpus."""
    variables = {"OMP_NUM_THREADS": str(os.cpu_count()), "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    ray.init(
        num_cpus=4,
        include_dashboard=False,
        _node_ip_address=HOST,
        logging_level="ERROR",
        log_to_driver=False,
        runtime_env={"env_vars": variables},
        object_store_memory=512 * 2**20,
    )
    serve.start(http_options=HTTPOptions(host=HOST, port=port))
    serve.run(Flow.bind(name), route_prefix="/encode")  # type: ignore[attr-defined]


if __name__ == "__main__":
    chosen_port, flow = arguments()
    stop = threading.Event()
    start(chosen_port, flow.name)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    stop.wait()
    serve.shutdown()
    ray.shutdown()
