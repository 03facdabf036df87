"""Make the bundled model from scratch: host network, flow, measures, files.

    python models/digits/train.py --host models/digits/1 --out models/digits/2

trains seed 0 for that version's host and writes a version folder; without ``--host`` it trains the host too;
``--seeds 0 1 2`` trains and measures three, and writes the first; ``--measure models/digits/2`` trains nothing and measures the flow of that folder.
"""

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TypeAlias

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

if missing := [name for name in ("keras", "scipy", "sklearn") if find_spec(name) is None]:
    raise SystemExit(
        f"Training needs Keras with a backend, SciPy and scikit-learn; not installed: {', '.join(missing)}.\n"
        "Install them from the project's folder, with pip 25.1 or newer: pip install '.[cpu]' --group train"
    )

import keras

from gyoza.inference import compile_flow
from gyoza.modelling.flow_layers import DisentanglingFlowModel
from models.digits.data import Digits, load_split
from models.digits.evaluation import Bench, Split
from models.digits.flow import FACTORS, train_flow
from models.digits.host import Host, explained_variance, train_host
from models.digits.linear import fit_linear_split
from models.digits.package import read_version, write_example, write_version
from models.digits.report import mean, missed, table

HOST_STEPS = 6000
FLOW_STEPS = 5000
Measures: TypeAlias = dict[str, float]


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Make the bundled model from scratch and measure it.")
    parser.add_argument("--out", type=Path, help="write the first seed's version folder here")
    parser.add_argument(
        "--example",
        type=Path,
        help="write a body for POST /factors here, of the first seed's latents, and edit.json beside it",
    )
    parser.add_argument(
        "--host", type=Path, metavar="FOLDER", help="give the first seed the host of this version folder"
    )
    parser.add_argument("--seed", "--seeds", type=int, nargs="+", default=[0], dest="seeds", metavar="SEED")
    parser.add_argument("--measure", type=Path, metavar="FOLDER", help="train nothing; measure this version folder")
    parser.add_argument("--validate", action="store_true", help="measure on training digits kept back, not on held-out")
    parser.add_argument("--host-steps", type=int, default=HOST_STEPS, help="default: %(default)s")
    parser.add_argument("--flow-steps", type=int, default=FLOW_STEPS, help="default: %(default)s")
    options = parser.parse_args(arguments)
    if options.measure and (options.out or options.example or options.host):
        parser.error("--measure trains and writes nothing: leave out --out, --example and --host")
    return options


def train(training: Digits, seed: int, options: argparse.Namespace) -> tuple[Host, DisentanglingFlowModel]:
    """Train host and flow of one seed."""
    keras.utils.set_random_seed(seed)
    verbose = 1 if sys.stdout.isatty() else 2
    print(f"seed {seed}: the host network")
    if options.host and seed == options.seeds[0]:
        host, _ = read_version(options.host)
    else:
        host = train_host(training, seed=seed, steps=options.host_steps, verbose=verbose)
    print(f"seed {seed}: the flow")
    return host, train_flow(host, training, seed=seed, steps=options.flow_steps, verbose=verbose)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train and write, or read; measure and print."""
    options = parse(arguments)
    training, measured = load_split(validate=options.validate)
    if options.measure:
        measure_folder(options.measure, training, measured)
    else:
        train_seeds(options, training, measured)


def train_seeds(options: argparse.Namespace, training: Digits, measured: Digits) -> None:
    """Train and measure each seed, write the first, and print the table."""
    flows: dict[str, Measures] = {}
    baselines: list[Measures] = []
    for seed in options.seeds:
        start = time.perf_counter()
        host, flow = train(training, seed, options)
        print(f"seed {seed}: measuring")
        bench = Bench(host, training, measured)
        flows[f"seed {seed}"] = measure(bench, Split(compile_flow(flow), FACTORS))
        if seed == options.seeds[0] and options.out:
            write_version(options.out, host, flow, bench)
        if seed == options.seeds[0] and options.example:
            write_example(options.example, host, measured)
        print(f"seed {seed}: {time.perf_counter() - start:.0f} s")
        baselines.append(measure(bench, fit_baseline(bench, FACTORS)))
    report(flows, baselines)


def measure_folder(folder: Path, training: Digits, measured: Digits) -> None:
    """Measure the flow of a version folder, whatever its blocks' sizes, and print what it has in which block too."""
    host, flow = read_version(folder)
    bench, split = Bench(host, training, measured), Split(compile_flow(flow), flow.factors or FACTORS)
    report({str(folder): measure(bench, split)}, [measure(bench, fit_baseline(bench, split.sizes))])
    print(f"\nHow well each factor can be read from each block:\n\n{bench.score_blocks(split)}")
    print(f"\nHow correlated each block is over pairs that share a factor:\n\n{bench.correlate_pairs(split)}")


def measure(bench: Bench, split: Split) -> Measures:
    """Return every measure of a split, and what its host loses."""
    return {**bench.measure(split), "host: variance explained": explained_variance(bench.host, bench.measured_images)}


def fit_baseline(bench: Bench, sizes: Mapping[str, int]) -> Split:
    """Fit the best linear split of the bench's training latents into blocks of these sizes."""
    return Split(fit_linear_split(bench.training_latents, bench.training, sizes), sizes)


def report(flows: Mapping[str, Measures], baselines: Sequence[Measures]) -> None:
    """Print the table, and which targets the mean of the flows does not reach."""
    print(f"\n{table(flows, baselines)}\n")
    print("Targets not reached: " + (", ".join(missed(mean(list(flows.values())))) or "none"))


if __name__ == "__main__":
    main()
