"""The files of a version folder: flow and host, their plans, layout, golden vectors and examples."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from safetensors.numpy import save

from gyoza.inference import compile_flow
from gyoza.inference.checks import Golden
from gyoza.loading import compile_file, compile_half, read_model
from gyoza.metrics import split
from gyoza.modelling.flow_layers import DisentanglingFlowModel
from gyoza.modelling.reference import LayeredFlow
from models.digits.data import SIDE, Digits, Floats, Settings, render
from models.digits.evaluation import Bench
from models.digits.flow import FACTORS
from models.digits.host import Host

PLANS = ("plan.safetensors", "encoder.plan.safetensors", "decoder.plan.safetensors")
GOLDEN_ROWS = 24
EXAMPLE_ROWS = 16
DESCRIPTION = "Colourful handwritten digits, 8×8 pixels: latents of a dense autoencoder, as digit, color and angle."
DESCRIPTIONS = {
    "residual": "handwriting: what is left of the image once digit, color and angle are known",
    "digit": "which of the digits 0 to 9 is shown",
    "color": "the color (red, green, blue) that the digit is drawn in",
    "angle": "the rotation of the image, between −40 and 40 degrees",
}
EXAMPLE_COLORS = ((0.95, 0.2, 0.15), (0.2, 0.45, 0.95), (0.25, 0.85, 0.3), (0.9, 0.8, 0.2))
EXAMPLE_ANGLES = (-20.0, 15.0, 0.0, 30.0)
EXAMPLE_CLASSES = (3, 7, 5, 2)


def write_version(folder: Path, host: Host, flow: DisentanglingFlowModel, bench: Bench) -> None:
    """Write a version folder that the service takes.

    Args:
        folder: Made if missing; its files are overwritten.
        host: The host network.
        flow: The trained flow, not compiled for training.
        bench: Brings the renders of held-out digits that are recorded, and those of training digits for the ranges.
    """
    folder.mkdir(parents=True, exist_ok=True)
    models = {"flow.keras": flow, "encoder.keras": host.encoder, "decoder.keras": host.decoder}
    for name, model in models.items():
        model.save(folder / name)
    latents = bench.measured_latents[:GOLDEN_ROWS]
    codes, logdet = LayeredFlow(flow).encode(latents)
    golden = {"latents": latents, "codes": codes, "logdet": logdet}
    examples = {"latents": bench.measured_latents[:EXAMPLE_ROWS], "inputs": bench.measured_images[:EXAMPLE_ROWS]}
    arrays = {"golden.safetensors": golden, "examples.safetensors": examples}
    for name, tensors in arrays.items():
        (folder / name).write_bytes(save(tensors))
    write_plans(folder, Golden(**golden))
    files = [folder / name for name in (*models, *PLANS, *arrays)]
    codes, _ = compile_flow(flow).encode(bench.training_latents)
    (folder / "flow.toml").write_text(describe(codes, files), encoding="utf-8")


def write_plans(folder: Path, golden: Golden) -> None:
    """Compile the flow and the host of a version folder ahead of time, so that they serve without Keras.

    Args:
        folder: It holds ``flow.keras``, ``encoder.keras`` and ``decoder.keras``. Their plans hold what their checks found.
        golden: What the flow's layers make of some rows.
    """
    plan, *halves = PLANS
    compile_file(folder / "flow.keras", folder / plan, golden)
    for name in halves:
        compile_half(folder / f"{name.partition('.')[0]}.keras", folder / name)


def read_version(folder: Path) -> tuple[Host, DisentanglingFlowModel]:
    """Read the host and the flow of a version folder.

    Args:
        folder: As ``write_version`` writes it.
    """
    encoder, decoder, flow = (read_model(folder / f"{name}.keras") for name in ("encoder", "decoder", "flow"))
    return Host(encoder, decoder), flow


def describe(codes: Floats, files: Iterable[Path]) -> str:
    """Return the text of ``flow.toml``.

    Args:
        codes: Of renders of training digits, shape [n, 32]. A factor's range is where 99 % of their entries lie.
        files: The files whose digests are recorded.

    Returns:
        TOML.
    """
    lines = [f'description = "{DESCRIPTION}"']
    for name, block in split(codes, FACTORS).items():
        low, high = np.percentile(block, (0.5, 99.5))
        lines += ["", "[[factors]]", f'name = "{name}"', f"size = {FACTORS[name]}"]
        lines += [f'description = "{DESCRIPTIONS[name]}"', f"range = [{low:.1f}, {high:.1f}]"]
    lines += ["", "[outputs]", f"shape = [{SIDE}, {SIDE}, 3]", 'kind = "image"', "", "[files]"]
    lines += [f'"{file.name}" = "{hashlib.sha256(file.read_bytes()).hexdigest()}"' for file in files]
    return "\n".join(lines) + "\n"


def write_example(file: Path, host: Host, held_out: Digits) -> None:
    """Write a body for ``POST /factors``, the latents of four held-out digits in four colours, and one for ``POST /edit``.

    Args:
        file: Where to write the first; the second goes beside it, into ``edit.json``.
        host: The host network.
        held_out: The held-out digits.
    """
    index = np.array([int(np.flatnonzero(held_out.classes == label)[0]) for label in EXAMPLE_CLASSES])
    settings = Settings(index, np.array(EXAMPLE_COLORS), np.array(EXAMPLE_ANGLES))
    latents = host.encode(render(held_out, settings))
    # The shortest decimals that give back the same float32.
    rows = [[float(str(entry)) for entry in row] for row in latents]
    file.write_text(json.dumps({"latents": rows}) + "\n", encoding="utf-8")
    color = {"factor": "color", "swap": [*rows[1:], rows[0]]}
    angle = {"factor": "angle", "set": [[0.0] * FACTORS["angle"]]}
    edit = json.dumps({"latents": rows, "edits": [color, angle]})
    file.with_name("edit.json").write_text(edit + "\n", encoding="utf-8")
