"""The settings of a fit."""

import json
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from gyoza.fitting import settings
from gyoza.fitting.flows import LAWS
from gyoza.fitting.settings import FitSettings


def test_they_can_be_written_down() -> None:
    """What describes settings is JSON, and makes the same settings again."""
    chosen = FitSettings(epochs=7, correlations={"digit": 0.9})
    assert FitSettings(**json.loads(json.dumps(chosen.describe()))) == chosen


def test_numbers_of_numpy_become_plain() -> None:
    """Numbers of NumPy and mappings of any kind are kept as what JSON holds, so that no report fails after a training."""
    half = np.float32(0.5)
    chosen = FitSettings(
        epochs=np.int64(7),  # type: ignore[arg-type]
        correlations=MappingProxyType({"digit": half}),  # type: ignore[dict-item]
        noise=half,  # type: ignore[arg-type]
        learning_rate=half,  # type: ignore[arg-type]
    )
    assert chosen == FitSettings(epochs=7, correlations={"digit": 0.5}, noise=0.5, learning_rate=0.5)
    assert FitSettings(**json.loads(json.dumps(chosen.describe()))) == chosen
    assert json.dumps(FitSettings(correlations=half).describe()["correlations"]) == "0.5"  # type: ignore[arg-type]


def test_every_coupling_can_be_built() -> None:
    """The settings name the laws that there are."""
    assert set(settings.COUPLINGS) == set(LAWS)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"epochs": 0}, ValueError, "epochs must be at least 1. Received: epochs=0"),
        ({"width": 1.5}, TypeError, "width must be an integer. Received: width=1.5"),
        ({"coupling": "cubic"}, ValueError, "coupling must be one of .* Received: coupling='cubic'"),
        ({"learning_rate": 0}, ValueError, "learning_rate must be a finite number above 0. Received: learning_rate=0"),
        ({"learning_rate": float("inf")}, ValueError, "learning_rate must be a finite number"),
        ({"learning_rate": True}, ValueError, "learning_rate must be a finite number"),
        ({"learning_rate": "fast"}, ValueError, "learning_rate must be a finite number"),
    ],
)
def test_what_can_not_be_is_refused(given: dict[str, Any], error: type[Exception], message: str) -> None:
    """A setting that no training could have is refused at once."""
    with pytest.raises(error, match=message):
        FitSettings(**given)
