"""Metrics need NumPy; what needs more says so when it is used."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gyoza import metrics

CODES = np.random.default_rng(0).normal(size=(40, 2))
CLASSES, NUMBERS = {"digit": np.arange(40) % 2}, {"angle": CODES[:, 0]}


@pytest.mark.parametrize(("metric", "labels"), [(metrics.sap, CLASSES), (metrics.dci, NUMBERS)])
def test_a_missing_scikit_learn_is_explained(
    metric: Callable[..., Any], labels: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says which extra to install."""
    for module in ("sklearn.svm", "sklearn.ensemble"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(
        ImportError, match=r"pip install '\.\[metrics\]' in the checkout\. Received: ModuleNotFoundError: "
    ):
        metric(CODES, labels, CODES, labels)


def test_the_others_need_numpy_alone() -> None:
    """A fresh process measures blocks, pairs, swaps, MIG and SAP of numbers without Keras, SciPy or scikit-learn."""
    code = """
import sys
for name in ("keras", "tensorflow", "sklearn", "scipy"):
    sys.modules[name] = None
import numpy as np
from gyoza import metrics
draw = np.random.default_rng(0)
labels = {"digit": draw.integers(0, 2, 60), "angle": draw.uniform(size=60)}
blocks = {name: values[:, None] * 1.0 for name, values in labels.items()}
probes = metrics.Probes(blocks, labels)
donors = metrics.draw_donors(labels["digit"], seed=0)
swapped = metrics.Swapped("digit", donors, blocks, metrics.swap(blocks, "digit", donors))
print(metrics.swap_consistency(probes, swapped, labels).as_labelled.follows)
print(probes.score(blocks, labels).informativeness["digit"])
print(metrics.pair_correlations({"digit": (blocks, blocks)}).own["digit"])
print(metrics.mig(metrics.join(blocks), labels).matrix.max())
print(metrics.sap(*[metrics.join(blocks), {"angle": labels["angle"]}] * 2).matrix.max())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert [round(float(line), 6) for line in done.stdout.split()] == [1, 1, 1, 1, 1]


def test_what_is_public_is_listed() -> None:
    """Every name of ``__all__`` is there, sorted as the linter sorts them, and each is explained."""
    assert len(set(metrics.__all__)) == len(metrics.__all__)
    for name in metrics.__all__:
        assert getattr(metrics, name).__doc__, name
