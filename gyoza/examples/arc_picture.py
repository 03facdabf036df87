"""The picture of the arc: points, their codes, and the grid of the codes as the flow bends it back. Needs matplotlib."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from gyoza.inference import CompiledFlow
from gyoza.inference.plan import Floats

__all__ = ["draw", "save"]

POSITIONS = np.linspace(-2, 2, 9)
"""Codes of the position at which the traversal stops."""
RESIDUALS = np.linspace(-2, 2, 5)
FINE = np.linspace(-2, 2, 201)
SHOWN = 1000
THIN: dict[str, Any] = {"color": "#333333", "linewidth": 0.8}
BOLD: dict[str, Any] = {"color": "#111111", "linewidth": 2.2}
STOPS: dict[str, Any] = {**BOLD, "linestyle": "none", "marker": "o", "markersize": 6.5, "markerfacecolor": "white"}
Place: TypeAlias = Callable[[Floats], Floats]
"""Where a panel has codes [n, 2]: at points [n, 2] of its own axes."""


def draw(flow: CompiledFlow, points: Floats, position: Floats) -> Figure:
    """Draw what a flow makes of points.

    Args:
        flow: From points [n, 2] to codes [n, 2], the residual first.
        points: [n, 2], of which the first 1000 are shown.
        position: [n], in degrees: what the colours show.

    Returns:
        The figure, 1400 × 420 pixels if it is saved as it is.
    """
    figure = Figure(figsize=(14, 4.2), dpi=100, layout="constrained", facecolor="white")
    points, position = points[:SHOWN], position[:SHOWN]
    arc, straight, bent = panels = figure.subplots(1, 3)
    colours = draw_arc(arc, flow, points, position)
    draw_codes(straight, flow.encode(points)[0], position)
    draw_bent_grid(bent, flow, points, position)
    for axes in panels:
        axes.set_aspect("equal")
        axes.spines[["top", "right"]].set_visible(False)
    degrees = figure.colorbar(colours, ax=panels, ticks=range(-120, 121, 60), shrink=0.8, aspect=25, pad=0.02)
    degrees.set_label("position along the arc, degrees")
    degrees.outline.set_visible(False)
    return figure


def save(figure: Figure, path: Path) -> None:
    """Write a figure as a PNG of 256 colours: a third of the bytes, and nothing that the eye would miss."""
    full = BytesIO()
    figure.savefig(full, format="png")
    Image.open(full).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)


def draw_arc(axes: Axes, flow: CompiledFlow, points: Floats, position: Floats) -> Any:
    """Draw points [n, 2], and the traversal through them; return what has the colours."""
    colours = scatter(axes, points, position)
    draw_traversal(axes, flow.invert)
    frame_plane(axes, "points, and the traversal")
    return colours


def draw_codes(axes: Axes, codes: Floats, position: Floats) -> None:
    """Draw codes [n, 2] with the position to the right, the grid and the traversal over them."""
    scatter(axes, codes[:, ::-1], position)
    draw_grid(axes, lambda lines: lines[:, ::-1])
    draw_traversal(axes, lambda lines: lines[:, ::-1])
    axes.set_title("their codes, with a grid", pad=10)
    axes.set(xlabel="code of the position", ylabel="code of the residual", xlim=(-3.4, 3.4), ylim=(-2.9, 2.9))
    if np.corrcoef(codes[:, 1], position)[0, 1] < 0:
        axes.invert_xaxis()  # Either sign is as good to a flow; the eye likes the arc's own direction.


def draw_bent_grid(axes: Axes, flow: CompiledFlow, points: Floats, position: Floats) -> None:
    """Draw the grid of the codes, inverted, over faint points [n, 2]."""
    scatter(axes, points, position, alpha=0.25)
    draw_grid(axes, flow.invert)
    draw_traversal(axes, flow.invert)
    frame_plane(axes, "the grid, inverted")


def frame_plane(axes: Axes, title: str) -> None:
    """Give a panel of the plane its title, labels and limits."""
    axes.set_title(title, pad=10)
    axes.set(xlabel="x₁", ylabel="x₂", xticks=[-1, 0, 1], yticks=[0, 1], xlim=(-1.45, 1.45), ylim=(-0.95, 1.5))


def scatter(axes: Axes, rows: Floats, position: Floats, alpha: float = 1.0) -> Any:
    """Draw rows [n, 2] as dots, coloured by position."""
    x, y = rows.T
    return axes.scatter(x, y, s=12, c=position, cmap="viridis", vmin=-120, vmax=120, linewidths=0, alpha=alpha)


def draw_grid(axes: Axes, place: Place) -> None:
    """Draw lines of codes that have the same position, and lines that have the same residual."""
    for position in POSITIONS:
        axes.plot(*place(codes_at(FINE, position)).T, **THIN)
    for residual in RESIDUALS:
        axes.plot(*place(codes_at(residual, FINE)).T, **THIN)


def draw_traversal(axes: Axes, place: Place) -> None:
    """Draw the line of codes whose residual is 0, and its stops."""
    axes.plot(*place(codes_at(0, FINE)).T, **BOLD)
    axes.plot(*place(codes_at(0, POSITIONS)).T, **STOPS)


def codes_at(residual: Any, position: Any) -> Floats:
    """Return codes [n, 2], one of the two the same in all."""
    return np.stack(np.broadcast_arrays(residual, position), axis=1)
