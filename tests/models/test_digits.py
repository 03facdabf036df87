"""The bundled model's files agree with each other, with its card, and with the numbers recorded when it was made."""

import hashlib
import json
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from safetensors.numpy import load_file

from gyoza.inference import CompiledFlow, compile_flow, load_checked_half
from gyoza.loading import read_model
from gyoza.metrics import split
from gyoza.modelling.reference import LayeredFlow
from models.digits.data import load_split
from models.digits.evaluation import Bench, Split, read_blocks
from models.digits.flow import FACTORS
from models.digits.package import EXAMPLE_ANGLES, EXAMPLE_CLASSES, EXAMPLE_COLORS, read_version
from models.digits.report import TARGETS, reaches


@pytest.fixture(scope="module", params=["1", "2"])
def version(digits_folder: Path, request: pytest.FixtureRequest) -> Path:
    """The folder of a version."""
    return digits_folder / str(request.param)


@pytest.fixture(scope="module")
def layout(version: Path) -> dict[str, Any]:
    """What flow.toml says."""
    return tomllib.loads((version / "flow.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def model(version: Path) -> Any:
    """The flow as Keras loads it."""
    return read_model(version / "flow.keras")


@pytest.fixture(scope="module")
def flow(model: Any) -> CompiledFlow:
    """The compiled flow."""
    return compile_flow(model)


def test_the_digests_are_those_of_the_files(version: Path, layout: dict[str, Any]) -> None:
    """Every other file of the version is recorded, and is the file that was recorded."""
    assert set(layout["files"]) == {path.name for path in version.iterdir()} - {"flow.toml"}
    for name, digest in layout["files"].items():
        assert hashlib.sha256((version / name).read_bytes()).hexdigest() == digest, name


def test_the_layout_is_the_flows_own(layout: dict[str, Any], model: Any) -> None:
    """flow.toml, the flow's config and the script name the same factors in the same order."""
    assert {factor["name"]: factor["size"] for factor in layout["factors"]} == FACTORS
    assert list(model.factors.items()) == list(FACTORS.items())
    assert layout["outputs"] == {"shape": [8, 8, 3], "kind": "image"}
    assert all(factor["description"] and factor["range"][0] < 0 < factor["range"][1] for factor in layout["factors"])


def test_the_golden_rows_are_met(version: Path, model: Any, flow: CompiledFlow) -> None:
    """Layers and compiled flow give the recorded codes and logdets, and the codes give back the latents."""
    golden = load_file(version / "golden.safetensors")
    assert len(golden["latents"]) >= 24
    for form in (LayeredFlow(model), flow):
        codes, logdet = form.encode(golden["latents"])
        np.testing.assert_allclose(codes, golden["codes"], atol=1e-4)
        np.testing.assert_allclose(logdet, golden["logdet"], atol=1e-3)
        np.testing.assert_allclose(form.invert(golden["codes"]), golden["latents"], atol=1e-4)


def test_the_host_makes_the_examples_and_images_of_them(version: Path) -> None:
    """The encoder gives the examples' latents, and the decoder gives images in 0..1 that resemble the inputs."""
    examples = load_file(version / "examples.safetensors")
    encoder, decoder = (keras.saving.load_model(version / f"{name}.keras") for name in ("encoder", "decoder"))
    latents = np.asarray(encoder(examples["inputs"]))
    np.testing.assert_allclose(latents, examples["latents"], atol=1e-4)
    images = np.asarray(decoder(latents))
    assert images.shape == examples["inputs"].shape == (16, 192)
    assert images.min() >= 0
    assert images.max() <= 1
    assert ((images - examples["inputs"]) ** 2).sum() / (
        (examples["inputs"] - examples["inputs"].mean()) ** 2
    ).sum() < 0.1


def test_the_models_carry_no_optimizer(version: Path) -> None:
    """Nothing is stored that only training needs, so the folder stays below 7 MB."""
    for name in ("flow", "encoder", "decoder"):
        with zipfile.ZipFile(version / f"{name}.keras") as archive:
            assert not json.loads(archive.read("config.json")).get("compile_config")
    assert sum(path.stat().st_size for path in version.iterdir()) < 7e6


def test_the_example_has_factors(digits_folder: Path, flow: CompiledFlow) -> None:
    """The example's latents are float32 in their shortest form and give finite factors of the stated sizes."""
    body = json.loads((digits_folder / "example.json").read_text(encoding="utf-8"))
    latents = np.array(body["latents"], np.float32)
    assert list(body) == ["latents"]
    assert latents.shape == (4, 32)
    assert [[float(str(entry)) for entry in row] for row in latents] == body["latents"]
    factors = split(flow.encode(latents)[0], FACTORS)
    assert {name: block.shape for name, block in factors.items()} == {n: (4, size) for n, size in FACTORS.items()}
    assert all(np.isfinite(block).all() for block in factors.values())


def test_the_edit_is_of_the_example(digits_folder: Path) -> None:
    """The edit's latents and donors are the example's."""
    body = json.loads((digits_folder / "edit.json").read_text(encoding="utf-8"))
    rows = json.loads((digits_folder / "example.json").read_text(encoding="utf-8"))["latents"]
    color, angle = body["edits"]
    assert (body["latents"], color["swap"]) == (rows, [*rows[1:], rows[0]])
    assert angle == {"factor": "angle", "set": [[0.0] * FACTORS["angle"]]}


@pytest.mark.parametrize("name", ["encoder", "decoder"])
def test_the_plans_of_the_host_are_its_own(version: Path, name: str) -> None:
    """The plan of each half gives what Keras does, bears the digest of its file, and passes every check."""
    loaded, proof = load_checked_half(version / f"{name}.plan.safetensors")
    half = keras.saving.load_model(version / f"{name}.keras")
    rows = load_file(version / "examples.safetensors")["inputs" if name == "encoder" else "latents"]
    np.testing.assert_allclose(loaded.half(rows), np.asarray(half(rows)), atol=1e-5)
    assert proof.flow_digest == hashlib.sha256((version / f"{name}.keras").read_bytes()).hexdigest()
    assert [check.name for check in loaded.checks] == [
        "compiled as layers",
        "compiled as its steps",
        "finite on probe rows",
    ]
    assert all(check.passed for check in loaded.checks)


def test_a_color_swap_of_the_example_is_seen(digits_folder: Path, version: Path, flow: CompiledFlow) -> None:
    """The first two examples swap colours: the red digit turns as blue as the other, and the other as red."""
    latents = np.array(json.loads((digits_folder / "example.json").read_text())["latents"], np.float32)[:2]
    factors = split(flow.encode(latents)[0], FACTORS)
    swapped = flow.invert(np.concatenate(list({**factors, "color": factors["color"][::-1]}.values()), axis=1))
    decoder = keras.saving.load_model(version / "decoder.keras")
    before, after = (np.asarray(decoder(rows)).reshape(2, 64, 3).mean(axis=1) for rows in (latents, swapped))
    hue = [rows / rows.sum(axis=1, keepdims=True) for rows in (before, after)]
    np.testing.assert_allclose(hue[1], hue[0][::-1], atol=0.1)


def test_the_example_shows_held_out_digits() -> None:
    """The example's digits are of four classes and in four colours and angles that rendering allows."""
    held_out = load_split()[1]
    assert len(set(EXAMPLE_CLASSES)) == len(EXAMPLE_CLASSES) == 4
    assert set(EXAMPLE_CLASSES) <= set(held_out.classes.tolist())
    assert all(0 <= part <= 1 for color in EXAMPLE_COLORS for part in color)
    assert max(map(abs, EXAMPLE_ANGLES)) <= 40


@pytest.fixture(scope="module")
def card(digits_folder: Path) -> list[list[str]]:
    """The cells of every table's rows in the card."""
    lines = (digits_folder / "README.md").read_text(encoding="utf-8").splitlines()
    return [[cell.strip(" *") for cell in line.split("|")[1:-1]] for line in lines if line.startswith("|")]


def test_the_card_reports_every_target(card: list[list[str]]) -> None:
    """Each target stands in the card beside the mean that was reached, and that mean reaches it."""
    measured = {row[0]: row for row in card if len(row) == 8}
    for name, target in TARGETS.items():
        assert measured[name][1] == target
        assert reaches(float(measured[name][5]), target), name


def test_the_card_reports_what_the_flow_is_measured_to_have(digits_folder: Path, card: list[list[str]]) -> None:
    """Measured again on the same renders, the flow that answers has in each block what the card says of seed 0."""
    host, model = read_version(digits_folder / "2")
    scores = Bench(host, *load_split()).score_blocks(Split(compile_flow(model), model.factors or {}))
    seeds = {row[0]: row for row in card if len(row) == 8}
    for name, value in read_blocks(scores).items():
        assert float(seeds[name][2]) == pytest.approx(value, abs=0.002), name
    for factor, value in scores.completeness.items():
        assert float(seeds[f"{factor} completeness"][2]) == pytest.approx(value, abs=0.01)
    blocks = {
        row[0]: [float(cell.strip("[]")) for cell in row[2:6]] for row in card if row[1:2] in (["accuracy"], ["R²"])
    }
    np.testing.assert_allclose(list(blocks.values()), scores.scores, atol=0.002)


def test_the_card_names_the_factors_as_they_are(digits_folder: Path) -> None:
    """Names and sizes of the factors in the card are those of the flow."""
    card = (digits_folder / "README.md").read_text(encoding="utf-8")
    assert all(f"| `{name}` | {size} |" in card for name, size in FACTORS.items())
