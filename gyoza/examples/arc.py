"""A flow bends an arc straight: ``python -m gyoza.examples.arc`` trains it, measures it and draws ``arc.png``.

Points of the plane lie along an arc, more or less. How far along is their factor, the position; how far beside it is
all the rest, the residual. Neither is a coordinate. A flow learns from pairs of points that lie near each other along
the arc to make them coordinates: in its codes one axis is the position, the other the residual. A step along an axis is
then a step along the arc, and ``invert`` says where it leads.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from gyoza.data import FactorPairs
from gyoza.inference import CompiledFlow, compile_flow
from gyoza.inference.plan import Floats
from gyoza.metrics import predictability, round_trip_error, split
from gyoza.modelling import keras
from gyoza.modelling.flow_layers import ActivationNormalization, AffineCoupling, DisentanglingFlowModel, Reflection
from gyoza.modelling.losses import SupervisedFactorLoss
from gyoza.modelling.masks import HeavisideMask, Mask
from gyoza.modelling.networks import dense_network

__all__ = ["build_flow", "draw_arc", "main", "measure", "train", "traverse"]

Arc: TypeAlias = tuple[Floats, Floats]
"""Points [n, 2], and the position of each [n]."""

FACTORS = {"residual": 1, "position": 1}
AT: dict[str, Any] = {"shape": [2], "axes": [1]}
HALF_ANGLE = 120.0
THICKNESS = 0.1
STEPS = 800
STEPS_PER_EPOCH = 100


def draw_arc(count: int, rng: np.random.Generator) -> Arc:
    """Draw points [count, 2] about an arc of radius 1, and their positions [count]: degrees, clockwise from the top.

    Example:
        >>> points, position = draw_arc(3, np.random.default_rng(0))
        >>> points.shape, position.round().tolist()
        ((3, 2), [33.0, -55.0, -110.0])
    """
    position = rng.uniform(-HALF_ANGLE, HALF_ANGLE, count)
    radius = rng.normal(1, THICKNESS, count)
    angle = np.radians(position)
    return np.stack([radius * np.sin(angle), radius * np.cos(angle)], axis=1).astype("float32"), position


def build_flow(blocks: int = 4) -> DisentanglingFlowModel:
    """Return an untrained flow from points [n, 2] to codes [n, 2]: the residual first, then the position."""
    flow = DisentanglingFlowModel([layer for _ in range(blocks) for layer in build_block()], factors=FACTORS)
    flow.build((None, 2))
    return flow


def build_block() -> list[Any]:
    """Return the layers of a block: scale, turn, then move either coordinate by what the other one says."""
    masks = HeavisideMask(**AT), Mask(**AT, mask=[1, 0])
    couplings = [
        AffineCoupling(**AT, compute_coupling_parameters=dense_network(2, 2, widths=[32, 32]), mask=mask)
        for mask in masks
    ]
    return [ActivationNormalization(**AT), Reflection(**AT, reflection_count=2), *couplings]


def train(flow: DisentanglingFlowModel, arc: Arc, *, seed: int, steps: int = STEPS) -> CompiledFlow:
    """Train a flow on pairs whose positions correlate, and return it compiled for NumPy."""
    points, position = arc
    epochs = max(1, steps // STEPS_PER_EPOCH)
    pairs = FactorPairs(points, {"position": position}, batch_size=256, batches_per_epoch=steps // epochs, seed=seed)
    rate = keras.optimizers.schedules.CosineDecay(3e-3, steps)
    # Without XLA: compiling so small a flow takes longer than training it.
    flow.compile(keras.optimizers.Adam(rate), SupervisedFactorLoss(list(FACTORS.values())), jit_compile=False)
    flow.fit(pairs, epochs=epochs, shuffle=False, verbose=2)
    return compile_flow(flow)


def traverse(flow: CompiledFlow, position: Floats, residual: float = 0.0) -> Floats:
    """Return the points [n, 2] whose codes have these positions [n], and all the same residual."""
    return flow.invert(np.stack([np.full(len(position), residual), position], axis=1))


def measure(flow: CompiledFlow, known: Arc, held_out: Arc) -> dict[str, float]:
    """Return what is printed about a flow, most of it from points that it has not learnt from."""
    (blocks, labels), (new_blocks, new_labels) = (
        (split(flow.encode(points)[0], FACTORS), {"position": position}) for points, position in (known, held_out)
    )
    order = rank_correlation(new_blocks["position"][:, 0], held_out[1])
    scores = predictability(blocks, labels, new_blocks, new_labels)
    walk = np.linalg.norm(traverse(flow, np.linspace(-2, 2, 101)), axis=1)
    return {
        "rank correlation of the position and its code (either sign will do)": order,
        "R² of the position, read from its code": float(scores.raw[0, 1]),
        "R² of the position, read from the residual (0 or less: not in it)": float(scores.raw[0, 0]),
        "root mean square distance of the traversal from the arc": float(np.sqrt(np.mean((walk - 1) ** 2))),
        "largest round-trip error": float(round_trip_error(flow, held_out[0]).max()),
    }


def rank_correlation(one: Floats, two: Floats) -> float:
    """Return how well one column of numbers [n] sorts another: 1, or −1, where it does so exactly."""
    return float(np.corrcoef(np.argsort(np.argsort(one)), np.argsort(np.argsort(two)))[0, 1])


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Bend an arc straight with a flow, and draw it.")
    parser.add_argument("--out", type=Path, default=Path("arc.png"), help="where to draw it; default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="of the points, the flow and its training; default: 0")
    parser.add_argument("--steps", type=int, default=STEPS, help="how many batches to learn from; default: %(default)s")
    options = parser.parse_args(arguments)
    if options.out.suffix != ".png" or not options.out.parent.is_dir():
        parser.error(f"--out must be a .png in a folder that exists. Received: --out={options.out}")
    if not 0 <= options.seed < 2**32:
        parser.error(f"--seed must be between 0 and 2³² − 1. Received: --seed={options.seed}")
    if options.steps < 1:
        parser.error(f"--steps must be at least 1. Received: --steps={options.steps}")
    return options


def picture() -> Any:
    """Import what draws: matplotlib is an extra, missed before a minute is spent on training."""
    try:
        from gyoza.examples import arc_picture  # noqa: PLC0415 - matplotlib is an optional extra.
    except ImportError as error:
        raise SystemExit(
            "The picture needs matplotlib. Install the extra examples of gyoza-serve: pip install '.[examples]' in the "
            f"checkout. Received: {type(error).__name__}: {error}"
        ) from error
    return arc_picture


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw points, train, measure, draw the picture."""
    options = parse(arguments)
    drawing = picture()
    keras.utils.set_random_seed(options.seed)
    rng = np.random.default_rng(options.seed)
    known, held_out = draw_arc(4000, rng), draw_arc(2000, rng)
    start = time.perf_counter()
    flow = train(build_flow(), known, seed=options.seed, steps=options.steps)
    print(f"seed {options.seed}: trained in {time.perf_counter() - start:.0f} s")
    for name, value in measure(flow, known, held_out).items():
        print(f"  {name}: {value:.5g}")
    drawing.save(drawing.draw(flow, *held_out), options.out)
    print(f"  drawn: {options.out}")


if __name__ == "__main__":
    main()
