"""``gyoza fit``, run as users run it."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from app.cli import main
from app.commands.ending import what_failed
from app.commands.fit import taken_for
from gyoza.data.files import LabelColumn
from gyoza.fitting import FitSettings
from gyoza.fitting.training import LEAST_GAIN
from gyoza.loading import load_flow
from tests.fitting.worlds import SHORT, mixed

ROOT = Path(__file__).parents[3]
SECONDS = 120
SHORTLY = ["--blocks", "1", "--width", "8", "--batches-per-epoch", "2", "--epochs", "2", "--seed", "3"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with latents and labels of 100 rows."""
    latents, labels = mixed(100)
    np.save(tmp_path / "latents.npy", latents)
    rows = zip(labels["shape"], labels["size"], strict=True)
    (tmp_path / "labels.csv").write_text("shape,size\n" + "".join(f"{shape},{size}\n" for shape, size in rows))
    return tmp_path


def fit(folder: Path, *options: str, out: str = "mine.keras") -> Result:
    """Run ``gyoza fit`` on the folder's files."""
    paths = [str(folder / name) for name in ("latents.npy", "labels.csv")]
    return CliRunner().invoke(main, ["fit", *paths, "--out", str(folder / out), *options])


def refused(folder: Path, *options: str, code: int = 1, out: str = "mine.keras") -> str:
    """What is said where ``gyoza fit`` refuses; it leaves no file behind and shows no traceback."""
    before = sorted(folder.iterdir())
    result = fit(folder, *options, out=out)
    assert result.exit_code == code, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert sorted(folder.iterdir()) == before
    return result.stderr


def test_it_trains_and_says_what_came_of_it(folder: Path) -> None:
    """It prints what columns were taken for, the tables, the loss, the seed, the files and what to type next."""
    result = fit(folder, *SHORTLY, "--sizes", "shape=2, size=1", "--correlations", "shape=.9,size=.8")
    assert result.exit_code == 0, result.output
    out = folder / "mine.keras"
    for text in (
        "shape: 3 classes\n",
        "size: numbers from -0.9",
        "Training on 80 rows, keeping 20 back; code: residual 3, shape 2, size 1; seed 3",
        "| factor   | size | raw score | informativeness | leakage | completeness |",
        "| factor |  measure | residual |",
        f"Written: {out} and {folder / 'mine.fit.json'}\n",
        f"Serve it:  gyoza serve --models-dir {folder}\n",
    ):
        assert text in result.stdout
    assert re.search(r"Loss -?\d+\.\d+ \(epoch [12] of 2\), log-likelihood -?\d+\.\d+, seed 3\n", result.stdout)
    report = json.loads((folder / "mine.fit.json").read_text())
    assert report["settings"] == {**SHORT.describe(), "correlations": {"shape": 0.9, "size": 0.8}}
    assert load_flow(out).factors == {"residual": 3, "shape": 2, "size": 1}
    assert f"{out} and {folder / 'mine.fit.json'} must not be there yet; choose another --out" in refused(
        folder, *SHORTLY
    )
    assert fit(folder, *SHORTLY, "--force", "--correlations", "0.9").exit_code == 0
    assert json.loads((folder / "mine.fit.json").read_text())["settings"]["correlations"] == 0.9


def test_an_interrupt_leaves_nothing_behind(folder: Path) -> None:
    """Ctrl+C in the middle of a training ends it with 130, without a file and without a traceback."""
    arguments = ["latents.npy", "labels.csv", "--out", "mine.keras", *SHORTLY, "--epochs", "9999", "--patience", "9999"]
    before = sorted(folder.iterdir())
    # A shell that runs the tests in the background makes their children ignore the signal.
    heeding = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)"
    command = [sys.executable, "-c", f"{heeding}; sys.path.insert(0, {str(ROOT)!r}); from app.cli import main; main()"]
    with subprocess.Popen(
        [*command, "fit", *arguments], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert any(line.startswith("Epoch 3/") for line in iter(process.stdout.readline, ""))
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=SECONDS)
    assert process.returncode == 130
    assert "Interrupted: nothing was written." in errors
    assert "Traceback" not in errors
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--sizes", "shape"], "--sizes must be NAME=NUMBER,NAME=NUMBER,… Received: shape"),
        (["--sizes", "shape=two"], "--sizes must be NAME=NUMBER"),
        (["--sizes", "shape=1,shape=2"], "--sizes must name every factor once. Received: shape=1,shape=2"),
        (["--correlations", "high"], "--correlations must be a number, or NAME=NUMBER,… Received: high"),
        (["--epochs", "0"], "epochs must be at least 1. Received: epochs=0\ngyoza fit --help tells what each may be."),
        (["--coupling", "cubic"], "coupling must be one of"),
    ],
)
def test_wrong_usage(folder: Path, options: list[str], message: str) -> None:
    """An option that can't be ends with 2 and says what it may be."""
    assert message in refused(folder, *options, code=2)


def test_out_must_be_a_path_for_a_flow(folder: Path) -> None:
    """Another ending is wrong usage; a folder that does not exist is told before anything is trained."""
    assert "--out must end in .keras. Received:" in refused(folder, out="mine.h5", code=2)
    assert f"The folder {folder / 'a'} does not exist; make it first: mkdir -p" in refused(folder, out="a/mine.keras")


def test_a_report_that_is_there_is_told_before_anything_is_trained(folder: Path) -> None:
    """The report of a flow that was taken away is replaced only when told so."""
    (folder / "mine.fit.json").write_text("{}")
    assert refused(folder).startswith(
        f"{folder / 'mine.fit.json'} must not be there yet; choose another --out, or say --force"
    )


def test_files_must_be_there(folder: Path) -> None:
    """A file that does not exist is named, and what to do is told; a folder is no file."""
    for name in ("latents.npy", "labels.csv"):
        (folder / name).unlink()
        assert refused(folder).startswith(
            f"{folder / name}: No such file or directory; mend the path, or write it first"
        )
    (folder / "labels.csv").mkdir()
    assert refused(folder) == f"{folder / 'labels.csv'}: Is a directory\n"


def test_a_folder_that_vanishes_is_told() -> None:
    """An error without a file of its own is told in its own words."""
    assert what_failed(FileNotFoundError("The folder a must exist; make it first.")) == (
        "The folder a must exist; make it first."
    )


def test_files_of_different_rows_are_named(folder: Path) -> None:
    """Where rows differ both files are named; an array without rows is told to be none of latents."""
    np.save(folder / "latents.npy", np.load(folder / "latents.npy")[1:])
    both = f"{folder / 'latents.npy'} and {folder / 'labels.csv'} must have as many rows, in the same order"
    assert both in refused(folder)
    np.save(folder / "latents.npy", np.float32(1))
    assert "must have the shape [n, …]" in refused(folder)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--continuous", "hue"], "must name factors of"),
        (["--sizes", "shape=9,size=9"], "sizes must leave at least 1 of the 6 entries of a latent"),
        (["--sizes", "hue=1"], "sizes must hold each of ['shape', 'size']"),
        (["--noise", "-1"], "noise must be finite and at least 0"),
        (["--validation", "2"], "validation must lie between 0 and 1"),
        (["--correlations", "1"], "correlations must lie between 0 and 1"),
        (["--seed", "-1"], "seed must be at least 0"),
        (["--classes", "size"], "must have a class with at least two rows"),
    ],
)
def test_options_must_fit_the_data(folder: Path, options: list[str], message: str) -> None:
    """What only the data can tell ends with 1 and says what must hold."""
    assert message in refused(folder, *options)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda latents: latents[1:], "Received: 99 rows of latents, 100 rows of labels"),
        (lambda latents: np.where(np.arange(100)[:, None] == 7, np.nan, latents), "Received: latents[7] is not"),
        (lambda latents: latents * [0, 1, 1, 1, 1, 1], "1 constant, at 0"),
        (lambda latents: (latents * 9).astype(int), "latents must be floats"),
        (lambda latents: latents[:, 0], "must have the shape [n, …]"),
        (lambda latents: latents[:, :2], "must have at least 3 entries"),
    ],
)
def test_latents_must_be_ones_to_train_on(
    folder: Path, change: Callable[[np.ndarray], np.ndarray], message: str
) -> None:
    """Latents that no flow can be fitted to are refused, with the first row or the columns that are wrong."""
    latents = np.load(folder / "latents.npy")
    np.save(folder / "latents.npy", change(latents))
    assert message in refused(folder)


def test_damaged_latents_are_told(folder: Path) -> None:
    """A file of latents that was cut off ends with a message that names it."""
    path = folder / "latents.npy"
    for length in (1000, 70):
        path.write_bytes(path.read_bytes()[:length])
        assert f"{path} must hold a whole array of floats" in refused(folder)


def test_labels_must_be_whole(folder: Path) -> None:
    """An empty cell is told with its line in the file."""
    path = folder / "labels.csv"
    path.write_text(path.read_text().replace("\n", "\n,0.5\n", 1))
    assert f"{path}, line 2: every row must have a label of every factor" in refused(folder)


def test_without_keras_the_extra_is_named(folder: Path) -> None:
    """Where Keras is not installed it says what to install."""
    script = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); sys.modules['keras'] = None; from app.cli import main; main()"
    )
    arguments = ["fit", "latents.npy", "labels.csv", "--out", "mine.keras"]
    command = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Install the extra cpu or gpu of gyoza-serve: pip install '.[cpu]' in the checkout" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (np.arange(10) % 5, "5 classes"),
        (np.arange(166) % 83, "83 classes; if they are amounts: --continuous age"),
        (np.array([str(number) for number in range(83)] * 2), "83 classes"),
        (np.array(["a", "a", "b", "b", "c"]), "3 classes, 1 of them with a single row, which makes no pair"),
        (
            np.append(np.arange(83), 0),
            "83 classes, 82 of them with a single row, which makes no pair; if they are amounts: --continuous age",
        ),
        (np.linspace(0, 1, 83), "numbers from 0 to 1"),
        (np.array([1.0, 2.0]), "numbers from 1 to 2; only 2 different ones, if they are classes: --classes age"),
        (np.zeros((4, 3)), "3 numbers a row"),
    ],
)
def test_what_a_column_was_taken_for_is_told(values: np.ndarray, text: str) -> None:
    """Where a column of numbers may be either, it is told how to say otherwise."""
    assert taken_for("age", LabelColumn(values)) == text


def test_the_help_tells_which_epoch_is_the_best() -> None:
    """What counts as better is told, with the very number that training goes by."""
    text = " ".join(CliRunner().invoke(main, ["fit", "--help"]).output.split())
    assert f"better by {LEAST_GAIN:.2f}".replace("0.", ".") + " nats or more" in text


@pytest.mark.parametrize("name", FitSettings.__dataclass_fields__)
def test_every_setting_is_a_flag(name: str) -> None:
    """Every setting of a fit is a flag that tells its default."""
    text = " ".join(CliRunner().invoke(main, ["fit", "--help"]).output.split())
    default = FitSettings.__dataclass_fields__[name].default
    assert re.search(rf"--{name.replace('_', '-')} <[^\[]*\[default: {default}\]", text)
