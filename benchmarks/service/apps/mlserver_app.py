"""MLServer: write its two settings files, and start it with the model in the server's process."""

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from mlserver.cli import main

from benchmarks.flows.specs import FlowSpec
from benchmarks.service.apps.common import HOST, arguments


def write_settings(folder: Path, port: int, spec: FlowSpec) -> None:
    """Write what MLServer reads; no parallel worker is faster here than one."""
    settings = {"debug": False, "host": HOST, "http_port": port, "grpc_port": port + 1, "metrics_port": port + 2}
    model = {
        "name": "flow_encode",
        "implementation": "benchmarks.service.apps.mlserver_runtime.FlowRuntime",
        "max_batch_size": 64,
        "max_batch_time": 0.001,
        "parameters": {"extra": {"flow": spec.name}},
    }
    for name, values in (("settings", {**settings, "parallel_workers": 0}), ("model-settings", model)):
        (folder / f"{name}.json").write_text(json.dumps(values), encoding="utf-8")


if __name__ == "__main__":
    chosen_port, flow = arguments()
    with TemporaryDirectory() as made:
        write_settings(Path(made), chosen_port, flow)
        sys.argv = ["mlserver", "start", made]
        main()
