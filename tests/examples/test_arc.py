"""The arc bends straight, and the picture shows it."""

import runpy
import struct
import sys
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread
from scipy.stats import spearmanr

import gyoza.examples
from gyoza.examples import arc, arc_picture
from gyoza.inference import CompiledFlow, compile_flow

ROOT = Path(__file__).parents[2]
BENT = "root mean square distance of the traversal from the arc"
OWN = "R² of the position, read from its code"
LEAK = "R² of the position, read from the residual (0 or less: not in it)"
ORDER = "rank correlation of the position and its code (either sign will do)"
ROUND_TRIP = "largest round-trip error"


@pytest.fixture(scope="module")
def arcs() -> tuple[arc.Arc, arc.Arc]:
    """Points to learn from, and others."""
    rng = np.random.default_rng(3)
    return arc.draw_arc(2000, rng), arc.draw_arc(1000, rng)


@pytest.fixture(scope="module")
def flows(arcs: tuple[arc.Arc, arc.Arc]) -> tuple[CompiledFlow, CompiledFlow]:
    """A flow of two blocks before and after 300 steps."""
    keras.utils.set_random_seed(3)
    flow = arc.build_flow(blocks=2)
    return compile_flow(flow), arc.train(flow, arcs[0], seed=3, steps=300)


def test_points_lie_about_the_arc(arcs: tuple[arc.Arc, arc.Arc]) -> None:
    """The distance from the centre is 1 ± 0.1, and the angle from the top is the position."""
    points, position = arcs[0]
    radius, angle = np.hypot(*points.T), np.degrees(np.arctan2(points[:, 0], points[:, 1]))
    assert (radius.mean(), radius.std()) == pytest.approx((1, 0.1), abs=0.01)
    np.testing.assert_allclose(angle, position, atol=1e-3)
    assert (position.min(), position.max()) == pytest.approx((-120, 120), abs=1)


def test_a_short_training_bends_the_arc(
    arcs: tuple[arc.Arc, arc.Arc], flows: tuple[CompiledFlow, CompiledFlow]
) -> None:
    """After a few steps a code tells the position, the residual does not, and the traversal follows the arc."""
    before, after = (arc.measure(flow, *arcs) for flow in flows)
    assert before[BENT] > 0.3
    assert after[BENT] < 0.1
    assert before[LEAK] > 0.2
    assert after[LEAK] < 0.1
    assert after[OWN] > max(0.95, before[OWN])
    assert abs(after[ORDER]) > 0.98
    assert before[ROUND_TRIP] < 1e-5
    assert after[ROUND_TRIP] < 1e-5


def test_the_order_is_spearmans() -> None:
    """The rank correlation is scipy's, and exact where the order is."""
    one, two = np.random.default_rng(0).normal(size=(2, 50))
    assert arc.rank_correlation(one, two) == pytest.approx(spearmanr(one, two).statistic)
    assert arc.rank_correlation(one, -np.exp(one)) == pytest.approx(-1)


def test_a_traversal_changes_the_position_alone(flows: tuple[CompiledFlow, CompiledFlow]) -> None:
    """The points of a traversal have the codes that were asked for."""
    asked = np.linspace(-2, 2, 5)
    codes, _ = flows[1].encode(arc.traverse(flows[1], asked, residual=1.0))
    np.testing.assert_allclose(codes, np.stack([np.ones(5), asked], axis=1), atol=1e-4)


def test_the_picture_shows_the_codes_and_the_bent_grid(
    arcs: tuple[arc.Arc, arc.Arc], flows: tuple[CompiledFlow, CompiledFlow], tmp_path: Path
) -> None:
    """Lines that are straight among the codes are what the flow makes of them in the plane; the PNG is 1400 × 420."""
    flow = flows[1]
    figure = arc_picture.draw(flow, *arcs[1])
    plane, straight, bent, _ = figure.axes
    lines = [np.asarray(line.get_xydata(), float) for line in straight.lines]
    assert len(lines) == len(bent.lines) == 9 + 5 + 2
    for codes, line in zip(lines, bent.lines, strict=True):
        np.testing.assert_allclose(np.asarray(line.get_xydata()), flow.invert(codes[:, ::-1]), atol=1e-6)
    assert all(np.ptp(codes, axis=0).min() == 0 for codes in lines)
    np.testing.assert_array_equal(plane.lines[0].get_xydata(), bent.lines[-2].get_xydata())
    shown = np.asarray(plane.collections[0].get_offsets())
    np.testing.assert_array_equal(shown, arcs[1][0])
    arc_picture.save(figure, tmp_path / "arc.png")
    assert size_of(tmp_path / "arc.png") == (1400, 420)
    pixels = imread(tmp_path / "arc.png")
    assert (pixels[0, 0, :3] == 1).all()
    assert np.ptp(pixels[..., :3], axis=(0, 1)).min() > 0.8


@pytest.mark.parametrize("sign", [1, -1])
def test_the_position_runs_to_the_right(sign: int, arcs: tuple[arc.Arc, arc.Arc]) -> None:
    """Whichever sign the code has, the picture shows it in the arc's own direction."""
    _, position = arcs[1]
    axes = Figure().subplots()
    arc_picture.draw_codes(axes, np.stack([np.zeros(len(position)), sign * position], axis=1), position)
    left, right = axes.get_xlim()
    assert np.sign(right - left) == sign


def test_the_committed_picture_is_small_and_in_the_guide() -> None:
    """What the library's guide shows is there, as large as the script draws it, below 150 kB."""
    (picture,) = Path(gyoza.examples.__path__[0]).glob("*.png")
    assert size_of(picture) == (1400, 420)
    assert picture.stat().st_size < 150_000
    assert f"]({picture.relative_to(ROOT / 'gyoza').as_posix()})" in (ROOT / "gyoza/README.md").read_text(
        encoding="utf-8"
    )


def test_the_command_trains_measures_and_draws(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command prints the seed and every figure and writes the picture; one block and two steps will do here."""
    monkeypatch.setattr(arc, "build_flow", partial(arc.build_flow, blocks=1))
    arc.main(["--out", str(tmp_path / "mine.png"), "--seed", "7", "--steps", "2"])
    printed = capsys.readouterr().out
    assert "2/2 - " in printed
    assert "seed 7: trained in " in printed
    assert all(f"  {name}: " in printed for name in (BENT, OWN, LEAK, ORDER, ROUND_TRIP))
    assert size_of(tmp_path / "mine.png") == (1400, 420)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "missing/arc.png"], "--out must be a .png in a folder that exists. Received: --out=missing/arc.png"),
        (["--out", "arc.jpg"], "--out must be a .png in a folder that exists. Received: --out=arc.jpg"),
        (["--seed", "-1"], "--seed must be between 0 and 2³² − 1. Received: --seed=-1"),
        (["--steps", "0"], "--steps must be at least 1. Received: --steps=0"),
    ],
)
def test_what_cannot_be_is_refused_at_once(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """A folder that does not exist, another kind of file a negative seed and no steps are refused before the training."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="2"):
        arc.main(arguments)
    assert message in capsys.readouterr().err


def test_a_missing_matplotlib_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without matplotlib the command says which extra to install, and exits with 1."""
    monkeypatch.setitem(sys.modules, "gyoza.examples.arc_picture", None)
    monkeypatch.delattr(gyoza.examples, "arc_picture")
    monkeypatch.delitem(sys.modules, "gyoza.examples.arc")
    monkeypatch.setattr(sys, "argv", ["arc"])
    with pytest.raises(SystemExit, match=r"pip install '\.\[examples\]' in the checkout\. Received: ") as stopped:
        runpy.run_module("gyoza.examples.arc", run_name="__main__")
    assert isinstance(stopped.value.code, str)  # Which Python prints to stderr, to exit with 1.


def size_of(png: Path) -> tuple[int, int]:
    """Width and height as a PNG's header has them."""
    header = png.read_bytes()[:24]
    assert header[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", header[16:24])
    return width, height
