"""The chart for the README: the time of one row in process, and requests a second of the servers."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.compute.rounds import WAYS
from benchmarks.results import Results
from benchmarks.service.servers import CEILING, NAIVE, OURS, SERVERS
from benchmarks.targets import RATE, SMALL

__all__ = ["draw"]

HIGHLIGHT, PLAIN, BOUND = "#0b6e4f", "#9aa5b1", "#d5dbe1"
LABELS = {
    "plan": "gyoza",
    "floor": "NumPy by hand",
    "layers": "Keras, eager",
    "XLA": "XLA",
    "tf.function": "tf.function",
}
NAMES = {OURS: "gyoza", NAIVE: "FastAPI + tf.function", CEILING: "NumPy by hand, unchecked", "mlserver": "MLServer"}
NAMES |= {"triton": "Triton", "litserve": "LitServe", "bentoml": "BentoML", "ray": "Ray Serve"}
Bars = list[tuple[str, float, str]]
"""Label, value and color of each."""


def draw(results: Results, path: Path) -> None:
    """Draw the chart; as SVG its text stays text, and the same figures give the same file."""
    figure = Figure(figsize=(9, 2.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    bars(left, compute_bars(results), "One row in process, ms (log scale)", scale="log")
    bars(right, service_bars(results), "Requests/s, one row, 16 clients, JSON")
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "gyoza"}):
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def compute_bars(results: Results) -> Bars:
    """Return the time of one row of the small flow, for each way."""
    found = [(way.name, results.ms(way.name, SMALL, "encode", 1)) for way in WAYS]
    return [(LABELS[name], value, color_of(name, "plan", "floor")) for name, value in found if value is not None]


def service_bars(results: Results) -> Bars:
    """Return the requests a second of one row and 16 clients, for each server that computes."""
    kinds = [kind for kind in SERVERS.values() if kind.computes]
    found = [(kind.name, results.load(kind.name, SMALL, next(iter(kind.forms)), "r1c16", RATE)) for kind in kinds]
    return [(NAMES[name], value, color_of(name, OURS, CEILING)) for name, value in found if value is not None]


def color_of(name: str, ours: str, bound: str) -> str:
    """Return the color: ours stands out, what is no product stays behind."""
    return HIGHLIGHT if name == ours else BOUND if name == bound else PLAIN


def bars(axes: Any, found: Bars, title: str, scale: str = "linear") -> None:
    """Draw bars with their values beside them; none where nothing was measured."""
    axes.set_title(title, fontsize=10, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=9)
    if found:
        labels, values, colors = zip(*found, strict=True)
        drawn = axes.barh(labels, values, color=colors)
        axes.bar_label(
            drawn, labels=[f"{value:,.0f}" if value >= 10 else f"{value:.2g}" for value in values], padding=3
        )
        axes.set_xscale(scale)
        axes.invert_yaxis()
        axes.margins(x=0.2)
