"""``gyoza check``."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from app.commands import check as module
from app.commands.check import examined
from app.errors import UnloadableModel
from app.model import load
from gyoza.inference import Proof
from gyoza.inference.checks import Check
from gyoza.packaging.manifest import digests_of
from tests.app.commands.worlds import MANIFEST, call, command, put_plan, refused
from tests.app.worlds import SIZE, coupled, put, put_halves, rows, tiny_loader


def golden(folder: Path, error: float = 0.0) -> None:
    """Record golden vectors of the flow, wrong by so much."""
    codes, logdet = coupled().encode(rows(5))
    save_file({"latents": rows(5), "codes": codes + error, "logdet": logdet}, folder / "golden.safetensors")


def test_it_shows_every_check_with_its_figures(tmp_path: Path) -> None:
    """All that the service checks at load is shown, of a version, of the newest of a model, and of a plan alone."""
    put_plan(tmp_path, version="1", manifest="[[")
    folder = put_plan(tmp_path, version="2")
    golden(folder)
    digests = digests_of([folder / "plan.safetensors", folder / "golden.safetensors"])
    files = "\n".join(f'"{name}" = "{digest}"' for name, digest in digests.items())
    (folder / "flow.toml").write_text(f"{MANIFEST}\n[files]\n{files}\n")
    shown = call("check", tmp_path / "tiny").stdout
    assert shown.startswith(f"{folder}\n")
    for text in (
        "ok      digests                        2 files are as flow.toml records",
        "ok      compiled as its steps          error ",
        "ok      round trip                     error ",
        "ok      logdet by differences          error ",
        "ok      golden vectors                 error ",
        "ok      factors                        residual 2, digit 1, color 1",
        "ok      warm-up                        passes of 1, 4, 16, 64, 256, 1024 rows",
    ):
        assert text in shown
    alone = call("check", folder / "plan.safetensors").stdout
    assert "-       digests                        a file by itself has none recorded" in alone
    assert "-       golden vectors                 not recorded" in alone
    assert "-       factors                        not recorded" in alone


def test_what_lies_beside_a_flow_is_checked_too(tmp_path: Path) -> None:
    """The halves' checks are shown, and what does not fit is told, while the rest is still checked."""
    folder = put_halves(put_plan(tmp_path), (SIZE,), "float64")
    shown = " ".join(call("check", folder).stdout.split())
    for text in ("ok encoder compiled as its steps error ", "ok decoder finite on probe rows error 0, limit 0"):
        assert text in shown
    assert "ok examples 3 rows of " in shown
    put_halves(folder, (2, 2), "float64")
    shown = " ".join(call("check", folder, code=1).stdout.split())
    assert "FAILED beside the flow the outputs of the encoder must have the shape of the flow's latents" in shown
    assert "ok warm-up" in shown


def test_json_is_for_scripts(tmp_path: Path) -> None:
    """With --json there is one object with every figure."""
    folder = put_plan(tmp_path)
    golden(folder, error=1.0)
    report = json.loads(call("check", folder, "--json", code=1).stdout)
    assert (report["model"], report["version"], report["passed"]) == ("tiny", "1", False)
    figures = {item["name"]: item for item in report["checks"]}
    assert figures["round trip"]["passed"] is True
    assert 0 <= figures["round trip"]["error"] <= figures["round trip"]["limit"] == 1e-8
    assert figures["golden vectors"]["passed"] is False
    assert figures["golden vectors"]["error"] > 0.1
    assert figures["digests"] == {
        "name": "digests",
        "passed": None,
        "detail": "not recorded in flow.toml",
        "error": None,
        "limit": None,
    }
    golden(folder, error=np.inf)
    assert {
        item["name"]: item["error"] for item in json.loads(call("check", folder, "--json", code=1).stdout)["checks"]
    }["golden vectors"] is None


def test_every_check_is_shown_although_one_fails(tmp_path: Path) -> None:
    """Wrong digests, golden vectors and factors are all told at once, with the figures of what passed."""
    folder = put_plan(tmp_path)
    golden(folder, error=0.25)
    (folder / "flow.toml").write_text(
        MANIFEST.replace("size = 2", "size = 3") + f'[files]\n"plan.safetensors" = "{"ab" * 32}"\n'
    )
    shown = call("check", folder, code=1).stdout
    for text in (
        "FAILED  digests                        plan.safetensors must have the SHA-256 abab",
        "ok      round trip",
        "FAILED  golden vectors                 error ",
        "FAILED  factors                        the factors in flow.toml must have as many columns",
        "ok      warm-up",
    ):
        assert text in shown


def test_a_manifest_that_cannot_be_read(tmp_path: Path) -> None:
    """What can be checked without it is."""
    shown = call("check", put_plan(tmp_path, manifest="[["), code=1).stdout
    assert "FAILED  flow.toml                      flow.toml must be TOML" in shown
    assert "ok      round trip" in shown


@pytest.mark.parametrize(
    ("content", "text"), [("?", "plan.safetensors must hold a plan"), (None, "flow.keras is missing")]
)
def test_a_flow_that_cannot_be_loaded(tmp_path: Path, content: str | None, text: str) -> None:
    """What can't be loaded is told in the service's words."""
    folder = put_plan(tmp_path)
    (folder / "plan.safetensors").unlink()
    if content:
        (folder / "plan.safetensors").write_text(content)
    assert f"FAILED  loads                          {text}" in call("check", folder, code=1).stdout


BROKEN = [
    "affine",
    "?",
    "bug",
    "broken",
    "unproven",
    "too many factors",
    "image",
    "factors",
    "digest",
    "manifest",
    "gone",
]


@pytest.mark.parametrize("text", BROKEN)
def test_it_fails_where_the_service_would(tmp_path: Path, text: str) -> None:
    """Of many kinds of versions it passes just those that the service loads, and gives the reasons that it gives."""
    manifests = {
        "factors": '[[factors]]\nname = "a"\nsize = 3\n',
        "digest": f'[files]\n"flow.keras" = "{"ab" * 32}"\n',
        "manifest": "x = 1\n",
    }
    folder = put(tmp_path, text="affine" if text in manifests else text, manifest=manifests.get(text, ""))
    if text == "gone":
        (folder / "flow.keras").unlink()
    findings = list(examined(folder, tiny_loader))
    failed = [finding.detail for finding in findings if finding.passed is False]
    reason = reason_of(folder)
    assert bool(failed) == (reason is not None)
    assert reason is None or failed[0].partition(",")[0] in reason
    assert reason is not None or findings[-1].name == "warm-up"


def reason_of(folder: Path) -> str | None:
    """Why the service would not load a version, or None."""
    try:
        load(folder, tiny_loader, (1,))
    except UnloadableModel as error:
        return str(error)
    except RuntimeError as error:  # Which the repository takes for a reason too.
        return f"RuntimeError: {error}"
    return None


def test_a_warm_up_that_fails_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flow that passes its checks, and fails in the passes behind them, fails."""

    def fail(*_: object) -> None:
        raise MemoryError("no room for 1024 rows")

    monkeypatch.setattr(module, "warm_up", fail)
    assert (
        "FAILED  warm-up                        MemoryError: no room for 1024 rows"
        in call("check", put_plan(tmp_path), code=1).stdout
    )


def test_a_plan_shows_what_was_recorded(tmp_path: Path) -> None:
    """The figures with which a plan was proven are shown beside those found now, and they count."""
    coupled().save(tmp_path / "plan.safetensors", Proof((Check("compiled as layers", 0.5, 1e-4),)))
    assert (
        "FAILED  compiled as layers             error 0.5, limit 0.0001"
        in call("check", tmp_path / "plan.safetensors", code=1).stdout
    )


def test_paths_that_mean_nothing(tmp_path: Path) -> None:
    """A path that is not there, a file of another kind, and a folder without versions are told apart."""
    (tmp_path / "notes.txt").write_text("notes")
    (tmp_path / "empty").mkdir()
    assert "must be there; mend the path. Received: no such file or folder" in refused("check", tmp_path / "nope")
    assert "must be a folder of a version or a model, a .keras file, or a plan" in refused(
        "check", tmp_path / "notes.txt"
    )
    assert "must hold flow.keras or plan.safetensors, or folders of versions such as" in refused(
        "check", tmp_path / "empty"
    )
    assert refused("check", code=2)
    assert "--trusted-modules must name Python modules" in refused(
        "check", put_plan(tmp_path), "--trusted-modules", "a b", code=2
    )


def test_without_keras_the_extra_is_named(tmp_path: Path) -> None:
    """A file that needs Keras says what to install where that is missing; a plan needs none."""
    put(tmp_path, text="?")
    put_plan(tmp_path, "plan")
    without = "sys.modules['keras'] = None"
    done = subprocess.run(
        command("check", tmp_path / "tiny", before=without), capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "Install the extra cpu or gpu of gyoza-serve: pip install '.[cpu]' in the checkout" in done.stdout
    assert "or put the plan beside it that gyoza package writes where Keras is" in done.stdout
    subprocess.run(command("check", tmp_path / "plan", before=without), capture_output=True, check=True)
