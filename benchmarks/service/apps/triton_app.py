"""NVIDIA Triton, the real tritonserver, through pytriton: dynamic batching."""

import os
import signal
import sys
import sysconfig
import threading

import numpy as np

LIBRARY_PATH = "LD_LIBRARY_PATH"


def find_libpython() -> None:
    """Start this script anew unless the loader finds the interpreter's library, which Triton's Python stub needs."""
    folder, known = sysconfig.get_config_var("LIBDIR"), os.environ.get(LIBRARY_PATH, "")
    if folder not in known.split(":"):
        os.environ[LIBRARY_PATH] = f"{folder}:{known}"
        os.execv(sys.executable, [sys.executable, "-m", "benchmarks.service.apps.triton_app", *sys.argv[1:]])  # noqa: S606


if __name__ == "__main__":
    find_libpython()

from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig

from benchmarks.flows.specs import Floats, FlowSpec
from benchmarks.service.apps.common import HOST, arguments, compiled_encoder


def bind(triton: Triton, spec: FlowSpec) -> None:
    """Give Triton the flow."""
    encode = compiled_encoder(spec)

    @batch
    def infer(latents: Floats) -> dict[str, Floats]:
        codes, logdet = encode(latents)
        return {"codes": codes, "logdet": logdet[:, None]}

    size = (spec.dimensions,)
    triton.bind(
        model_name="flow_encode",
        infer_func=[infer],
        inputs=[Tensor(name="latents", dtype=np.float32, shape=size)],
        outputs=[
            Tensor(name="codes", dtype=np.float32, shape=size),
            Tensor(name="logdet", dtype=np.float32, shape=(1,)),
        ],
        config=ModelConfig(max_batch_size=2048, batcher=DynamicBatcher(max_queue_delay_microseconds=500)),
        strict=False,
    )


def main() -> None:
    """Serve until a signal."""
    port, spec = arguments()
    addresses = {"http": port, "grpc": port + 1, "metrics": port + 2}
    ports = {f"{name}_port": number for name, number in addresses.items()}
    hosts = {f"{name}_address": HOST for name in addresses}
    stop = threading.Event()
    with Triton(config=TritonConfig(**ports, **hosts, exit_timeout_secs=5)) as triton:
        bind(triton, spec)
        triton.run()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        stop.wait()


if __name__ == "__main__":
    main()
