"""A folder of models whose files change, and an admin who has them loaded anew."""

import shutil
from collections.abc import Sequence
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import numpy as np

from app.keys import line_of, new_key
from benchmarks.flows.specs import CALLED, CALLED_ANSWERS, Floats
from benchmarks.plans import additive_flow
from benchmarks.service.apps.common import HOST
from benchmarks.service.soaking import Case, Recorded, cases_of
from gyoza.inference import CompiledFlow

__all__ = ["Admin", "Changing"]

PLAN, FLOW = "plan.safetensors", "flow.keras"
DIMENSIONS, HIDDEN, BLOCKS = 64, 128, 4
LOAD_LIMIT_S = 120.0


class Changing:
    """The folder: a model of two plans that take turns, and if asked for one that TensorFlow runs, of which only the text changes.

    Args:
        folder: Where; what was there is removed.
        with_keras: Whether the second model is there.
    """

    def __init__(self, folder: Path, *, with_keras: bool) -> None:
        """Put the first flows there."""
        shutil.rmtree(folder, ignore_errors=True)
        self.folder = folder
        self.models = ["turns", *(["called"] if with_keras else [])]
        self._flows: Sequence[CompiledFlow] = [additive_flow(DIMENSIONS, HIDDEN, BLOCKS, seed) for seed in (0, 1)]
        for model in self.models:
            (folder / model / "1").mkdir(parents=True)
        if with_keras:
            shutil.copyfile(CALLED, folder / "called" / "1" / FLOW)
        self.change(0)

    def change(self, number: int) -> None:
        """Put the files of one turn in the place of those of the last."""
        self._flows[number % 2].save(self.folder / "turns" / "1" / PLAN)
        if "called" in self.models:
            fresh = self.folder / "called" / "flow.toml"
            fresh.write_text(f'description = "turn {number}"\n', encoding="utf-8")
            fresh.replace(self.folder / "called" / "1" / fresh.name)

    def cases(self) -> list[Case]:
        """Return requests for all models, with the answers of either turn."""
        latents = np.random.default_rng(11).standard_normal((2000, DIMENSIONS)).astype(np.float32)
        first, second = self._flows
        return cases_of("turns", first, latents, others=[second]) + (called() if "called" in self.models else [])


class Admin:
    """Loads models by a key of its own.

    Args:
        path: The file of admin keys, which is written.
    """

    def __init__(self, path: Path) -> None:
        """Make the key."""
        self._key = new_key()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(line_of("admin", self._key) + "\n", encoding="utf-8")
        self.options = ["--repository-control", "--admin-keys-file", str(path)]

    def load(self, port: int, model: str) -> tuple[int, str]:
        """Load a model anew: -> the status and the text of the answer; 0 where the connection broke."""
        with closing(HTTPConnection(HOST, port, timeout=LOAD_LIMIT_S)) as connection:
            try:
                connection.request("POST", f"/models/{model}/load", headers={"X-API-Key": self._key})
                answer = connection.getresponse()
                return answer.status, answer.read().decode()
            except OSError as error:
                return 0, str(error)


def called() -> list[Case]:
    """Return requests for the model whose networks a plan only calls, with the answers of its layers."""
    with np.load(CALLED_ANSWERS) as file:
        latents, codes, logdet, returned = (file[name] for name in ("latents", "codes", "logdet", "returned"))
    recorded: tuple[Floats, Floats, Floats] = codes, logdet, returned
    return cases_of("called", Recorded(*recorded), latents)
