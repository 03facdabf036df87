"""``gyoza package``."""

import json
import signal
import subprocess
import tomllib
from pathlib import Path

import keras
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from app.model import load, load_with_keras
from app.repository import Repository, State
from gyoza.inference import load_plan
from gyoza.loading import load_flow
from gyoza.modelling.flow_layers import AffineCoupling, FlowModel
from gyoza.modelling.masks import HeavisideMask
from gyoza.packaging.manifest import digests_of
from tests.app.commands.worlds import ROOT, call, command, refused
from tests.loading.flows import AT, flow_model
from tests.loading.originals import FOLDER, NAMES, assert_same_numbers, keras_file

DIGITS = ROOT / "models" / "digits" / "2"
SECONDS = 120


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A flow's file."""
    path = tmp_path_factory.mktemp("flows") / "mine.keras"
    flow_model().save(path)
    return path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, the one that the command works in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(folder: Path) -> set[str]:
    """What lies in a folder."""
    return {path.name for path in folder.iterdir()}


def test_versions_of_a_flow(saved: Path, folder: Path) -> None:
    """The first version and the next are whole, proven, served from their plans, and tell what they are."""
    shown = call("package", saved, "--name", "mine").stdout
    for text in (
        "Written: models/mine/1\n",
        "latents [4] in float32; factors: residual 2, digit 2",
        "plan: yes",
        "ok      compiled as layers ",
        "ok      golden vectors ",
        "Serve it:  gyoza serve --models-dir models\n",
    ):
        assert text in shown
    options = ("--factors", "residual=1,color=3", "--description", 'My "flow"')
    report = json.loads(call("package", saved, "--name", "mine", "--json", *options).stdout)
    assert (report["path"], report["version"], report["has_plan"]) == ("models/mine/2", "2", True)
    assert report["factors"] == {"residual": 1, "color": 3}
    assert all(item["passed"] for item in report["checks"])
    second = folder / "models" / "mine" / "2"
    assert names(second) == {"flow.keras", "flow.toml", "golden.safetensors", "plan.safetensors"}
    assert names(folder / "models") == {"mine"}
    assert names(folder / "models" / "mine") == {"1", "2"}
    manifest = tomllib.loads((second / "flow.toml").read_text())
    assert manifest["description"] == 'My "flow"'
    assert manifest["files"] == digests_of(path for path in second.iterdir() if path.name != "flow.toml")
    assert (second / "flow.keras").read_bytes() == saved.read_bytes()
    repository = Repository(folder / "models")
    repository.load_all()
    assert [entry.state for entry in repository.entries] == [State.READY, State.READY]
    call("check", "models/mine")


def test_golden_rows_are_those_that_the_flow_finds_likely(saved: Path, folder: Path) -> None:
    """Without rows of one's own they are inverses of codes from N(0, I), the same each time."""
    for _ in range(2):
        call("package", saved, "--name", "mine")
    first, second = (load_file(folder / f"models/mine/{version}/golden.safetensors") for version in "12")
    assert first["latents"].shape == (24, 4)
    assert abs(first["codes"].mean()) < 0.5
    assert 0.7 < first["codes"].std() < 1.3
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name])


def test_hosts_rows_and_examples_come_along(folder: Path) -> None:
    """Encoder, decoder, golden rows and examples of the bundled model are packaged with its flow."""
    latents = load_file(DIGITS / "examples.safetensors")["latents"]
    np.save("rows.npy", latents[:3].astype(np.float64))
    np.save("examples.npy", latents[3:5])
    hosts = [part for name in ("encoder", "decoder") for part in (f"--{name}", DIGITS / f"{name}.keras")]
    for examples in (DIGITS / "examples.safetensors", "examples.npy"):
        given = ("--golden", "rows.npy", "--examples", examples, "--outputs", "image=8x8x3")
        shown = call("package", DIGITS / "flow.keras", "--name", "mine", *hosts, *given).stdout
        assert "ok      decoder compiled as layers     error " in shown
    first, second = folder / "models/mine/1", folder / "models/mine/2"
    assert names(first) == names(DIGITS)
    for name in ("flow.keras", "encoder.keras", "decoder.keras", "examples.safetensors"):
        found = load_file(first / name) if name == "examples.safetensors" else (first / name).read_bytes()
        expected = load_file(DIGITS / name) if name == "examples.safetensors" else (DIGITS / name).read_bytes()
        np.testing.assert_equal(found, expected)
    np.testing.assert_array_equal(load_file(first / "golden.safetensors")["latents"], latents[:3])
    np.testing.assert_array_equal(load_file(second / "examples.safetensors")["latents"], latents[3:5])
    model = load(first, load_with_keras, ())
    decoder, layout = model.beside.decoder, model.layout
    assert decoder is not None
    assert (decoder.kind, decoder.run.output_shape) == ("image", (8, 8, 3))
    assert layout is not None
    assert [factor.name for factor in layout.factors] == ["residual", "digit", "color", "angle"]


@pytest.mark.parametrize("name", NAMES)
def test_flows_of_the_original_library(folder: Path, name: str) -> None:
    """Files of gyoza 0.3, compiled ones too, become versions that give the same numbers, from plans where they may."""
    latents = np.load(FOLDER / f"{name}.npz")["latents"]
    sizes = {"disentangling_compiled_8": ("--factors", "residual=4,a=2,b=2")}
    report = json.loads(call("package", keras_file(name), "--name", "old", "--json", *sizes.get(name, ())).stdout)
    version = folder / "models" / "old" / "1"
    assert_same_numbers(load_flow(version / "flow.keras").flow, name)
    assert report["has_plan"] == (version / "plan.safetensors").exists() == (latents.ndim == 2)
    if report["has_plan"]:
        assert_same_numbers(load_plan(version / "plan.safetensors"), name)
    else:
        assert "Received: one that calls the network of additive_coupling" in report["no_plan_because"]
    assert report["factors"] == ({"residual": 4, "a": 2, "b": 2} if name in sizes else {})


def test_a_flow_that_calls_code_has_no_plan(folder: Path) -> None:
    """Where a flow is more than arrays, that is told, and the version is served from its file."""
    inputs = keras.Input((4,))
    branched = keras.layers.Add()([keras.layers.Dense(8)(inputs), keras.layers.Dense(8)(inputs)])
    network = keras.Model(inputs, branched)
    flow = FlowModel([AffineCoupling(**AT, compute_coupling_parameters=network, mask=HeavisideMask(**AT))])
    flow.build((None, 4))
    flow.save("branched.keras")
    shown = call("package", "branched.keras", "--name", "mine").stdout
    assert "plan: none, so serving it needs Keras. " in shown
    assert "factors: none; name them by --factors" in shown
    assert names(folder / "models/mine/1") == {"flow.keras", "flow.toml", "golden.safetensors"}


def test_what_fails_is_never_seen(saved: Path, folder: Path) -> None:
    """Wrong factors, files and rows are told in a sentence, and leave nothing behind."""
    np.save("wide.npy", np.zeros((3, 5)))
    np.save("nan.npy", np.full((3, 4), np.nan))
    (folder / "bad.keras").write_text("?")
    save_file({"latents": np.zeros((3, 4)), "inputs": np.zeros((2, 9))}, "uneven.safetensors")
    save_file({"inputs": np.zeros((2, 9))}, "lacking.safetensors")
    np.save("none.npy", np.zeros((0, 4)))
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(4)]).save("host.keras")
    before = names(folder)
    for arguments, message in (
        (["bad.keras"], "flow.keras must be a .keras archive as written by model.save(), whole"),
        (["nope.keras"], "nope.keras must be a .keras file that is there"),
        (["wide.npy"], "wide.npy must be a .keras file that is there"),
        (["host.keras"], "A flow must be a FlowModel or a subclass of it. Received: Sequential"),
        ([saved, "--factors", "residual=9"], "the factors in flow.toml must have as many columns as a code"),
        ([saved, "--encoder", "bad.keras"], "encoder.keras must be a .keras archive"),
        ([saved, "--decoder", "nope.keras"], "nope.keras must be a .keras file that is there"),
        (
            [saved, "--golden", "wide.npy"],
            "Golden rows must be latents of the shape [n, 4], n at least 1. Received: [3, 5]",
        ),
        ([saved, "--golden", "nan.npy"], "Golden rows must be finite in float32; give other rows. Received: row 0"),
        ([saved, "--golden", "nope.npy"], "nope.npy: No such file or directory; mend the path"),
        ([saved, "--examples", "wide.npy"], "wide.npy must hold latents of the shape [n, 4]"),
        ([saved, "--examples", "uneven.safetensors"], "Received: inputs [2, 9], latents [3, 4]"),
        ([saved, "--examples", "lacking.safetensors"], "Received: inputs [2, 9]"),
        ([saved, "--examples", "none.npy"], "must hold 1 to 1024 examples. Received: 0"),
        ([saved, "--examples", "nan.npy"], "must hold finite numbers"),
    ):
        error = refused("package", *arguments, "--name", "mine")
        assert message in error
        assert not list((folder / "models").glob("*")) if (folder / "models").exists() else True
    assert names(folder) - {"models"} == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--factors", "residual"], "--factors must be NAME=NUMBER,NAME=NUMBER,… Received: residual"),
        (["--factors", "residual=2,a.b=2"], "--factors: A factor's name must match"),
        (["--factors", "residual=2,codes=2"], "--factors: A factor's name must match"),
        (["--factors", "residual=4,a=0"], "--factors must have sizes of 1 or more"),
        (["--factors", "a=2,residual=2"], "and residual first if it is there"),
        (["--name", "a.b"], "--name must match"),
        (["--outputs", "image"], "--outputs must be KIND=SHAPE, such as image=8x8x3. Received: image"),
        (["--outputs", "image=8x0"], "--outputs must be KIND=SHAPE"),
        (["--trusted-modules", "a-b"], "--trusted-modules must name Python modules"),
    ],
)
def test_wrong_usage(saved: Path, folder: Path, options: list[str], message: str) -> None:
    """An option that can't be ends with 2 before anything is read or made."""
    assert message in refused("package", saved, "--name", "mine", *options, code=2)
    assert not names(folder)


def test_a_loose_file_is_in_the_way(saved: Path, folder: Path) -> None:
    """A loose file of the model's name is told, with where to move it."""
    (folder / "models").mkdir()
    (folder / "models" / "mine.keras").write_text("?")
    error = refused("package", saved, "--name", "mine")
    assert "move models/mine.keras away, to models/mine/1/flow.keras" in error


def test_two_at_once_get_a_version_each(saved: Path, folder: Path) -> None:
    """Two processes that package at the same time write two versions, both whole."""
    processes = [
        subprocess.Popen(
            command("package", saved, "--name", "mine", "--description", text, "--json"),
            stdout=subprocess.PIPE,
            text=True,
        )
        for text in ("one", "two")
    ]
    reports = [json.loads(process.communicate(timeout=SECONDS)[0]) for process in processes]
    assert {report["version"] for report in reports} == {"1", "2"}
    for report, text in zip(reports, ("one", "two"), strict=True):
        assert tomllib.loads((folder / report["path"] / "flow.toml").read_text())["description"] == text
        call("check", report["path"])
    assert names(folder / "models" / "mine") == {"1", "2"}


def test_an_interrupt_leaves_nothing(saved: Path, folder: Path) -> None:
    """Ctrl+C while the version is proven ends with 130 and leaves no version and no draft."""
    proving = (
        "import app.commands.package as module; load = module.load\n"
        "def told(*arguments): print('proving', flush=True); import time; time.sleep(60)\n"
        "module.load = told"
    )
    arguments = command("package", saved, "--name", "mine", before=proving)
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert "proving\n" in iter(process.stdout.readline, "")
        assert list((folder / "models").glob(".gyoza-*/plan.safetensors"))
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=SECONDS)
    assert process.returncode == 130
    assert "Interrupted: nothing was written." in errors
    assert "Traceback" not in errors
    assert not names(folder / "models")


def test_without_keras_the_extra_is_named(saved: Path, folder: Path) -> None:
    """Packaging needs Keras, and says what to install."""
    done = subprocess.run(
        command("package", saved, "--name", "mine", before="sys.modules['keras'] = None"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "packaging a flow needs Keras" in done.stderr
    assert "Install the extra cpu or gpu of gyoza-serve: pip install '.[cpu]' in the checkout" in done.stderr
    assert "Traceback" not in done.stderr
    assert not names(folder / "models")
