"""Models that are told apart by their answers, and weigh something."""

import gc
import os
import time
from pathlib import Path

import numpy as np

from app.engine import Engine
from gyoza.inference import CompiledFlow, Plan
from gyoza.inference.checks import Golden
from gyoza.inference.plan import Floats, Opaque
from tests.app.worlds import SIZE, TinyFlow, put, tiny_loader

MEGABYTES = 64


def put_heavy(folder: Path, count: int, loads: Path) -> list[str]:
    """Put models into a folder whose loads are written down in another one; return their names."""
    loads.mkdir()
    names = [f"m{number}" for number in range(count)]
    for number, name in enumerate(names):
        put(folder, name, text=f"{number} {loads}")
    return names


def heavy_loader(path: Path, golden: Golden | None) -> TinyFlow:
    """Make a flow that adds its number to latents, and needs much memory for it."""
    number, loads = path.read_text().split(" ", 1)
    (Path(loads) / f"{os.getpid()}-{time.time_ns()}").touch()
    ballast = np.full(MEGABYTES * 2**20 // 4, int(number), np.float32)

    def shifted(sign: int, rows: Floats) -> Floats:
        moved: Floats = rows + sign * ballast[-1]
        return moved

    steps = (Opaque(lambda rows: (shifted(1, rows), 0 * rows[:, 0]), lambda rows: shifted(-1, rows)),)
    return TinyFlow(CompiledFlow(Plan(steps, (SIZE,), (SIZE,), np.dtype("float32"))))


def noting_loader(path: Path, golden: Golden | None) -> TinyFlow:
    """Make a tiny flow, and note beside it in how many threads the process computes that loads it."""
    gc.unfreeze()  # What the service froze once it had started is not listed.
    (engine,) = (each for each in gc.get_objects() if isinstance(each, Engine))
    path.with_name("threads").write_text(str(engine._threads))
    return tiny_loader(path, golden)
