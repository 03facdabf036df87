"""The files of a version folder: flow and host, their plans, layout, golden vectors and examples."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from gyoza.inference import compile_flow
from gyoza.loading import read_model
from gyoza.metrics import split
from gyoza.modelling.flow_layers import DisentanglingFlowModel
from gyoza.packaging.contents import Contents, complete_version
from gyoza.packaging.golden import golden_of
from gyoza.packaging.manifest import FactorNote, Outputs
from models.digits.data import SIDE, Digits, Floats, Settings, render
from models.digits.evaluation import Bench
from models.digits.flow import FACTORS
from models.digits.host import Host

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

    Raises:
        ValueError: The flow is none for a plan, which serves it without Keras.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, model in {"flow": flow, "encoder": host.encoder, "decoder": host.decoder}.items():
        model.save(folder / f"{name}.keras")
    codes, _ = compile_flow(flow).encode(bench.training_latents)
    contents = Contents(
        golden=golden_of(flow, bench.measured_latents[:GOLDEN_ROWS]),
        examples={"latents": bench.measured_latents[:EXAMPLE_ROWS], "inputs": bench.measured_images[:EXAMPLE_ROWS]},
        factors=tuple(describe(codes)),
        description=DESCRIPTION,
        outputs=Outputs((SIDE, SIDE, 3), "image"),
    )
    if lacking := complete_version(folder, contents):
        raise ValueError(lacking)


def read_version(folder: Path) -> tuple[Host, DisentanglingFlowModel]:
    """Read the host and the flow of a version folder.

    Args:
        folder: As ``write_version`` writes it.
    """
    encoder, decoder, flow = (read_model(folder / f"{name}.keras") for name in ("encoder", "decoder", "flow"))
    return Host(encoder, decoder), flow


def describe(codes: Floats) -> Iterator[FactorNote]:
    """Yield what ``flow.toml`` tells of each factor.

    Args:
        codes: Of renders of training digits, shape [n, 32]. A factor's range is where 99 % of their entries lie.
    """
    for name, block in split(codes, FACTORS).items():
        low, high = np.percentile(block, (0.5, 99.5))
        yield FactorNote(name, FACTORS[name], DESCRIPTIONS[name], (round(float(low), 1), round(float(high), 1)))


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
