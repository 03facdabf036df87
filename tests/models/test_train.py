"""The training script makes every file of a version, from anywhere."""

import subprocess
import sys
import tomllib
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from sklearn import ensemble

from models.digits import data, evaluation, flow, train

FILES = {
    "decoder.keras",
    "decoder.plan.safetensors",
    "encoder.keras",
    "encoder.plan.safetensors",
    "examples.safetensors",
    "flow.keras",
    "flow.toml",
    "golden.safetensors",
    "plan.safetensors",
}


def test_a_short_run_writes_every_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A few steps give the whole version folder, an example that fits it, and the table; its host serves the next version too."""
    monkeypatch.setattr(evaluation, "TRAINING_REPEATS", 1)
    monkeypatch.setattr(evaluation, "REPEATS", 1)
    monkeypatch.setattr(evaluation, "PAIRS", 50)
    monkeypatch.setattr(evaluation, "TREE_ROWS", 40)
    for trees in ("GradientBoostingClassifier", "GradientBoostingRegressor"):
        monkeypatch.setattr(ensemble, trees, partial(getattr(ensemble, trees), n_estimators=3))
    monkeypatch.setattr(flow, "BLOCKS", 1)
    monkeypatch.setattr(data, "TRAINING_COUNT", 300)
    monkeypatch.setattr(data, "VALIDATION_COUNT", 100)
    short = ["--seed", "3", "--validate", "--host-steps", "3", "--flow-steps", "3"]
    train.main([*short, "--out", str(tmp_path / "1"), "--example", str(tmp_path / "example.json")])
    assert {path.name for path in (tmp_path / "1").iterdir()} == FILES
    assert (tmp_path / "example.json").exists()
    assert (tmp_path / "edit.json").exists()
    golden = load_file(tmp_path / "1" / "golden.safetensors")
    assert all(np.isfinite(array).all() for array in golden.values())
    assert set(tomllib.loads((tmp_path / "1" / "flow.toml").read_text())["files"]) == FILES - {"flow.toml"}
    printed = capsys.readouterr().out
    assert "| measure | target | seed 3 | linear |" in printed
    assert "Targets not reached: digit, " in printed
    train.main(["--measure", str(tmp_path / "1"), "--validate"])
    again = capsys.readouterr().out
    rows = [[line for line in text.splitlines() if line.startswith("| ")] for text in (printed, again)]
    assert rows[1][0] == f"| measure | target | {tmp_path / '1'} | linear |"
    assert values(rows[1][2 : len(rows[0])]) == pytest.approx(values(rows[0][2:]), abs=0.011)
    assert "| factor |  measure | residual |" in again
    assert "| shared | residual |" in again
    host, _ = train.train(data.load_split(validate=True)[0], 3, train.parse([*short, "--host", str(tmp_path / "1")]))
    examples = load_file(tmp_path / "1" / "examples.safetensors")
    np.testing.assert_allclose(host.encode(examples["inputs"]), examples["latents"], atol=1e-6)


def values(rows: list[str]) -> dict[str, float]:
    """The flow's own figure of each row of a table."""
    return {cells[1].strip(): float(cells[3]) for cells in (row.split("|") for row in rows)}


def test_measuring_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where to write and what to measure can't both be asked for."""
    with pytest.raises(SystemExit):
        train.main(["--measure", str(tmp_path), "--out", str(tmp_path)])
    assert "--measure trains and writes nothing: leave out --out, --example and --host" in capsys.readouterr().err


def test_the_script_runs_by_path_from_anywhere(digits_folder: Path, tmp_path: Path) -> None:
    """Another working folder does not matter; the options are explained."""
    command = [sys.executable, str(digits_folder / "train.py"), "--help"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "--out" in done.stdout


def test_missing_packages_are_named_with_the_cure(digits_folder: Path, tmp_path: Path) -> None:
    """Where nothing is installed the script says what it lacks and how to get it, without a traceback."""
    command = [sys.executable, "-S", str(digits_folder / "train.py")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "not installed: keras, scipy, sklearn" in done.stderr
    assert "pip install '.[cpu]' --group train" in done.stderr
    assert "Traceback" not in done.stderr
