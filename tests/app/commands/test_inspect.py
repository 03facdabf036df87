"""``gyoza inspect``."""

import hashlib
import json
import subprocess
from pathlib import Path

import pytest

from tests.app.commands.worlds import MANIFEST, ROOT, call, command, put_plan, refused
from tests.loading.originals import keras_file

DIGITS = ROOT / "models" / "digits"


def test_a_plan_is_shown_without_keras(tmp_path: Path) -> None:
    """Sizes, factors, steps and digests are shown without Keras; of layers it is told what to install."""
    folder = put_plan(tmp_path)
    (folder / "flow.toml").write_text(
        MANIFEST.replace("size = 2", 'size = 2\nrange = [-1.5, 2]\ndescription = "the rest"')
        + f'[files]\n"plan.safetensors" = "{"ab" * 32}"\n"golden.safetensors" = "{"ab" * 32}"\n'
    )
    (folder / "notes.txt").write_text("notes")
    (folder / "drafts").mkdir()
    done = subprocess.run(
        command("inspect", tmp_path / "tiny", before="sys.modules['keras'] = None"),
        capture_output=True,
        text=True,
        check=True,
    )
    digest = hashlib.sha256((folder / "plan.safetensors").read_bytes()).hexdigest()
    for text in (
        f"{folder}\n",
        "latents [4] to codes [4] in float64",
        "residual              2  columns 0 to 1  -1.5 to 2  the rest\n",
        "color                 1  columns 3 to 3\n",
        "not listed, since that needs Keras, the extra cpu of gyoza-serve: pip install '.[cpu]' in the checkout",
        "steps of its plan: 1 Coupling, 1 Gather, 1 Affine",
        f"{digest}  NOT the one that flow.toml records",
        "golden.safetensors  MISSING, though flow.toml records it",
        "notes.txt",
    ):
        assert text in done.stdout, done.stdout


def test_a_version_is_shown_with_its_layers() -> None:
    """The newest version of the bundled model shows its layers, parameters, factors and digests."""
    shown = call("inspect", DIGITS).stdout
    for text in (
        f"{DIGITS / '2'}: Colourful handwritten digits",
        "latents [32] to codes [32] in float32",
        "24 layers, ",
        "  0  ActivationNormalization ",
        " 23  AffineCoupling ",
        "angle                 3  columns 29 to 31  -1.6 to 1.8  the rotation",
        "  as recorded",
    ):
        assert text in shown
    assert "NOT" not in shown


def test_json_is_for_scripts() -> None:
    """With --json there is one object with all of it."""
    report = json.loads(call("inspect", DIGITS / "2", "--json").stdout)
    assert (report["model"], report["version"], report["latent_shape"]) == ("digits", "2", [32])
    assert [factor["name"] for factor in report["factors"]] == ["residual", "digit", "color", "angle"]
    assert len(report["layers"]) == 24
    assert sum(layer["parameters"] for layer in report["layers"]) == report["parameters"]
    assert {"name", "size", "sha256", "as_recorded"} == set(report["files"][0])
    assert {file["name"] for file in report["files"] if file["as_recorded"]} == {
        path.name for path in (DIGITS / "2").iterdir() if path.name != "flow.toml"
    }


def test_a_file_of_the_original_library() -> None:
    """A loose file of gyoza 0.3 shows its layers; one without names for its factors says so."""
    path = keras_file("flow_image_conv_5x6x1")
    shown = call("inspect", path).stdout
    assert "latents [5, 6, 1] to codes" in shown
    assert "none named" in shown
    assert f"{path.name}" in shown
    report = json.loads(call("inspect", path, "--json").stdout)
    assert report["model"] == "flow_image_conv_5x6x1"
    assert report["factors"] is None
    assert report["files"][0]["as_recorded"] is None


@pytest.mark.parametrize("name", ["plan.safetensors", "flow.keras"])
def test_files_that_cannot_be_read(tmp_path: Path, name: str) -> None:
    """A damaged file is told in a sentence."""
    folder = put_plan(tmp_path)
    (folder / "plan.safetensors").unlink()
    (folder / name).write_text("?")
    assert refused("inspect", folder).startswith(f"{name} must ")
    (folder / name).unlink()
    assert "must hold flow.keras or plan.safetensors; put one of them there" in refused("inspect", folder)


def test_a_host_is_no_flow() -> None:
    """A file of another model is told to be none of a flow."""
    assert "must hold a FlowModel or a subclass of it. Received: Sequential" in refused(
        "inspect", DIGITS / "2/encoder.keras"
    )
