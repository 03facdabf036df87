"""The files of a fitted flow."""

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

import gyoza.fitting
from gyoza.fitting import FittedFlow, fit_flow
from gyoza.loading import load_flow
from tests.fitting.worlds import SHORT, mixed


@pytest.fixture(scope="module")
def fitted() -> FittedFlow:
    """A flow after a short fit."""
    return fit_flow(*mixed(100), settings=SHORT, seed=3)


def test_the_files_hold_the_flow_and_how_it_was_made(fitted: FittedFlow, tmp_path: Path) -> None:
    """The flow's file passes the checks of a load; the report beside it knows the seed, the settings and the digest."""
    path = tmp_path / "mine.keras"
    report = json.loads(fitted.save(path).read_text())
    assert sorted(file.name for file in tmp_path.iterdir()) == ["mine.fit.json", "mine.keras"]
    assert (report["seed"], report["settings"]) == (3, SHORT.describe())
    assert report["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert report["block_scores"]["shape"].keys() == fitted.sizes.keys()
    assert report["latent_shape"] == [6]
    loaded = load_flow(path)
    assert dict(loaded.factors or {}) == fitted.sizes
    assert all(check.passed for check in loaded.checks), loaded.checks


def test_the_report_is_json_where_an_epoch_diverged(fitted: FittedFlow, tmp_path: Path) -> None:
    """A loss that is not finite is null in the report, since JSON knows no NaN."""
    history = {"loss": [1.0, float("nan")], "val_loss": [2.0, float("inf")]}
    diverged = replace(fitted, history=history, best_epoch=1)
    text = diverged.save(tmp_path / "mine.keras").read_text()
    assert json.loads(text, parse_constant=pytest.fail)["history"] == {"loss": [1.0, None], "val_loss": [2.0, None]}


def test_nothing_is_replaced_unasked(fitted: FittedFlow, tmp_path: Path) -> None:
    """A flow or a report that is there stays as it is, unless it may be replaced."""
    path = tmp_path / "mine.keras"
    for there in (path, tmp_path / "mine.fit.json"):
        there.write_text("?")
        with pytest.raises(FileExistsError, match=re.escape(f"{there} must not be there yet; choose another path")):
            fitted.save(path)
        assert there.read_text() == "?"
        there.unlink()
    path.write_text("?")
    fitted.save(path, overwrite=True)
    assert load_flow(path).factors == fitted.sizes


def test_a_path_must_be_one_to_write_to(fitted: FittedFlow, tmp_path: Path) -> None:
    """Another ending and a folder that does not exist are refused."""
    with pytest.raises(ValueError, match=r"must end in \.keras. Received: path='flow\.h5'"):
        fitted.save("flow.h5")
    with pytest.raises(FileNotFoundError, match="must exist; make it first"):
        fitted.save(tmp_path / "nowhere" / "flow.keras")


def test_the_table_has_a_row_for_every_factor(fitted: FittedFlow) -> None:
    """Size and raw score are shown for all, the measures for what has labels."""
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in fitted.table().splitlines()]
    assert rows[0] == ["factor", "size", "raw score", "informativeness", "leakage", "completeness"]
    assert rows[2] == ["residual", str(fitted.sizes["residual"]), "1.000", "–", "–", "–"]
    assert [row[0] for row in rows[3:]] == ["shape", "size"]
    assert rows[3][3] == f"{fitted.block_scores.informativeness['shape']:.3f}"


def test_the_package_names_what_it_has() -> None:
    """Everything that is listed is there, and nothing else."""
    assert all(hasattr(gyoza.fitting, name) for name in gyoza.fitting.__all__)
    assert not hasattr(gyoza.fitting, "fit_tree")
