"""The servers that are measured: how each starts and which wire formats it speaks. One table, nothing else."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from benchmarks.flows.specs import FlowSpec
from benchmarks.service import environments
from benchmarks.service.formats import V2_PATH

__all__ = ["CEILING", "DEFAULT", "ECHO", "NAIVE", "OURS", "PEERS", "SERVERS", "ServerKind", "app", "gyoza"]

OURS, CEILING, ECHO, NAIVE = "gyoza", "ceiling-batch-freeze", "echo", "fastapi-tf"


@dataclass(frozen=True)
class ServerKind:
    """One server."""

    name: str
    command: Callable[[int, FlowSpec], list[str]]
    """The port, and the flow that it serves, to what starts it."""
    forms: Mapping[str, str]
    """Wire format, a key of ``FORMATS``, to the path that speaks it, in which {flow} stands for the flow's name."""
    computes: bool = True
    """False: it does not run the flow, so its answers are not looked at."""
    every_round: bool = True
    """False: in the first round only, since nothing is divided by its figures."""
    environment: str | None = None
    """The virtual environment that it needs, a name of ``benchmarks/requirements``; None: the project's own."""


def gyoza(port: int, models: Path) -> list[str]:
    """Return what starts the service with default settings on a folder of models."""
    return [str(Path(sys.executable).with_name("gyoza")), "serve", "--models-dir", str(models), "--port", str(port)]


def app(name: str, environment: str | None = None) -> Callable[[int, FlowSpec], list[str]]:
    """Return what starts one of ``benchmarks.service.apps``."""

    def command(port: int, flow: FlowSpec) -> list[str]:
        python = str(environments.python(environment)) if environment else sys.executable
        module = f"benchmarks.service.apps.{name}"
        return [python, "-m", module, "--port", str(port), "--flow", flow.name]

    return command


ENCODE = "/encode"
BOTH = {"json": ENCODE, "safetensors": ENCODE}
OWN_V2 = "/v2/models/{flow}.encode/infer"
ALL = (
    ServerKind(
        OURS, lambda port, flow: gyoza(port, flow.keras_models), {**BOTH, "v2-json": OWN_V2, "v2-binary": OWN_V2}
    ),
    ServerKind(CEILING, app("ceiling"), {**BOTH, "v2-binary": V2_PATH}),
    ServerKind(NAIVE, app("naive"), {"json": ENCODE}),
    ServerKind(ECHO, app("echo"), BOTH, computes=False, every_round=False),
    ServerKind("mlserver", app("mlserver_app", "mlserver"), {"v2-json": V2_PATH}, environment="mlserver"),
    ServerKind("triton", app("triton_app", "triton"), {"v2-json": V2_PATH, "v2-binary": V2_PATH}, environment="triton"),
    ServerKind("litserve", app("litserve_app", "litserve"), {"json": ENCODE}, environment="litserve"),
    ServerKind("bentoml", app("bentoml_app", "bentoml"), {"joined-json": ENCODE}, environment="bentoml"),
    ServerKind("ray", app("ray_app", "ray"), {"json": ENCODE}, environment="ray"),
)
SERVERS: Mapping[str, ServerKind] = MappingProxyType({kind.name: kind for kind in ALL})
DEFAULT = (OURS, CEILING, NAIVE, ECHO)
"""Those that need no environment of their own."""
PEERS = (NAIVE, "mlserver", "triton", "litserve", "bentoml", "ray")
"""What people would use instead, the best three first."""
