"""``gyoza encode``, ``gyoza factors``, ``gyoza invert``."""

import os
import pty
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from app.commands import passes
from app.commands import rows as module
from app.tensors import log_likelihood
from gyoza.inference import CompiledFlow, Plan
from gyoza.inference.plan import Opaque
from tests.app.commands.worlds import call, command, put_plan, refused
from tests.app.worlds import SIZE, affine, coupled, rows

COUNT = 100
SECONDS = 60


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder, the one that the command works in, with a folder of models and a file of latents."""
    monkeypatch.chdir(tmp_path)
    put_plan(tmp_path / "models")
    np.save(tmp_path / "latents.npy", rows(COUNT))
    # Several passes, the last one shorter.
    monkeypatch.setattr(passes, "CHUNK_NUMBERS", 32 * SIZE)
    return tmp_path


def test_there_and_back(folder: Path) -> None:
    """Codes and factors are the compiled flow's, of either format, and either gives the latents again."""
    codes, logdet = coupled().encode(rows(COUNT))
    call("encode", "tiny", "latents.npy", "codes.npy")
    call("encode", "tiny", "latents.npy", "codes.safetensors")
    call("factors", "tiny", "latents.npy", "factors.safetensors")
    np.testing.assert_array_equal(np.load("codes.npy"), codes)
    known = {"logdet": logdet, "log_likelihood": log_likelihood(codes, logdet)}
    blocks = {"factors.residual": codes[:, :2], "factors.digit": codes[:, 2:3], "factors.color": codes[:, 3:]}
    for name, expected in {"codes": {"codes": codes, **known}, "factors": {**blocks, **known}}.items():
        found = load_file(f"{name}.safetensors")
        assert set(found) == set(expected)
        for key, array in expected.items():
            np.testing.assert_array_equal(found[key], array, err_msg=key)
        with safe_open(f"{name}.safetensors", "numpy") as file:
            assert file.metadata() == {"model": "tiny", "version": "1"}
    for source in ("codes.npy", "codes.safetensors", "factors.safetensors"):
        call("invert", "tiny", source, "back.npy", "--force")
        np.testing.assert_allclose(np.load("back.npy"), rows(COUNT), atol=1e-12)
    call("invert", "tiny", "codes.npy", "back.safetensors")
    call("encode", "tiny", "back.safetensors", "again.npy")
    np.testing.assert_allclose(np.load("again.npy"), codes, atol=1e-12)
    assert not list(folder.glob(".*"))


def test_latents_of_any_shape_and_dtype(folder: Path) -> None:
    """Images in Fortran's order, in half precision and other byte orders, are encoded as the rows that they are."""
    flow = affine(shape=(2, 2, 1))
    put_plan(folder / "models", "image", flow=flow, manifest="")
    images = np.round(rows(COUNT).reshape(COUNT, 2, 2, 1), 2)
    for dtype, order in (("f2", "F"), (">f8", "C"), ("i8", "F")):
        saved = images.astype(dtype, order=order)  # type: ignore[call-overload]
        np.save("images.npy", saved)
        call("encode", "image", "images.npy", "codes.npy", "--force")
        np.testing.assert_array_equal(np.load("codes.npy"), flow.encode(saved)[0])
        assert np.load("codes.npy").dtype == np.float32


def test_a_model_is_a_name_or_a_path(folder: Path) -> None:
    """The newest version that loads answers, by name or by path; what does not load is told; a version can be named."""
    put_plan(folder / "models", version="2", flow=affine())
    (put_plan(folder / "models", version="10") / "plan.safetensors").write_text("?")
    for model in ("tiny", "models/tiny", folder / "models" / "tiny"):
        errors = call("encode", model, "latents.npy", "codes.safetensors", "--force").stderr
        assert errors.startswith("tiny version 10 can't be loaded: plan.safetensors must hold a plan")
        with safe_open("codes.safetensors", "numpy") as file:
            assert file.metadata() == {"model": "tiny", "version": "2"}
    for model in ("models/tiny/1", "models/tiny/1/plan.safetensors"):
        call("encode", model, "latents.npy", "codes.safetensors", "--force")
        with safe_open("codes.safetensors", "numpy") as file:
            assert file.metadata() == {"model": "tiny", "version": "1"}
    affine().save("alone.safetensors")
    call("encode", "alone.safetensors", "latents.npy", "codes.npy", "--force")
    (folder / "models" / "tiny.keras").write_text("?")
    assert "a loose file tiny.keras are there; rename" in refused(
        "encode", "tiny", "latents.npy", "codes.npy", "--force"
    )
    assert "A version of tiny must load, and none does" in refused("encode", "tiny", "latents.npy", "new.npy")


def test_other_folders_of_models(folder: Path) -> None:
    """The folder of models is told by a flag or the environment; without a model the names that are there are told."""
    (folder / "models").rename(folder / "others")
    error = refused("encode", "tiny", "latents.npy", "codes.npy")
    assert "MODEL must be the name of a model in models, or a path; those there: none. Received: tiny." in error
    call("encode", "tiny", "latents.npy", "codes.npy", "--models-dir", "others")
    done = subprocess.run(
        command("encode", "nope", "latents.npy", "new.npy"),
        env={**os.environ, "GYOZA_MODELS_DIR": "others"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "in others, or a path; those there: tiny. Received: nope" in done.stderr


def test_files_are_not_replaced_unless_told(folder: Path) -> None:
    """OUT must be new or forced, and never is the file that is read, by whatever path."""
    before = (folder / "latents.npy").read_bytes()
    (folder / "link.npy").symlink_to(folder / "latents.npy")
    os.link(folder / "latents.npy", folder / "hard.npy")
    (folder / "folder.npy").mkdir()
    np.save("there.npy", np.zeros(3))
    assert "there.npy must not be there yet; choose another OUT, or say --force" in refused(
        "encode", "tiny", "latents.npy", "there.npy"
    )
    for out in ("latents.npy", "link.npy", "hard.npy", "./latents.npy"):
        assert "OUT must be another file than IN" in refused("encode", "tiny", "latents.npy", out, "--force")
    assert "folder.npy must not be there yet" in refused("encode", "tiny", "latents.npy", "folder.npy", "--force")
    assert "The folder nowhere does not exist; make it first" in refused(
        "encode", "tiny", "latents.npy", "nowhere/a.npy"
    )
    assert "a.csv must end in .npy or .safetensors" in refused("encode", "tiny", "latents.npy", "a.csv")
    assert (folder / "latents.npy").read_bytes() == before
    call("encode", "tiny", "latents.npy", "there.npy", "--force")
    assert np.load("there.npy").shape == (COUNT, SIZE)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e39])
def test_what_is_not_finite_is_named(folder: Path, value: float) -> None:
    """Rows that are not finite in the flow's dtype are named as the file counts them, and nothing is written."""
    put_plan(folder / "models", "single", flow=affine())
    latents = rows(COUNT)
    latents[[70, 71, *range(80, 95)], 1] = value
    np.save("latents.npy", latents)
    error = refused("encode", "single", "latents.npy", "codes.npy")
    named = "70, 71, 80, 81, 82, 83, 84, 85, 86, 87, …. Nothing was written"
    assert "latents in latents.npy must be finite in float32; mend or leave out these rows, counted from 0" in error
    assert named in error
    assert not (folder / "codes.npy").exists()
    assert not list(folder.glob(".*"))


def test_results_that_overflow_are_named(folder: Path) -> None:
    """Rows whose results are not finite are named, and nothing is written."""
    put_plan(folder / "models", "single", flow=affine())
    latents = rows(COUNT)
    latents[42] = 3e38
    np.save("latents.npy", latents)
    error = refused("encode", "single", "latents.npy", "codes.npy")
    assert "codes must come out finite in float32; scale them down or leave out these rows" in error
    assert "(later ones were not looked at): 42. Nothing was written" in error
    assert not (folder / "codes.npy").exists()


@pytest.mark.parametrize(
    ("name", "arrays", "message"),
    [
        ("encode", {"codes": np.zeros((3, 4))}, "must hold latents of the shape [n, 4]. Received: codes"),
        ("encode", {"flags": np.zeros((3, 4), bool)}, "Received: no array of real numbers"),
        (
            "encode",
            {"latents": np.zeros((3, 5))},
            "must have the shape [n, 4], n at least 1, for this model. Received: [3, 5]",
        ),
        ("factors", {"latents": np.zeros((0, 4))}, "Received: [0, 4]"),
        ("invert", {"latents": np.zeros((3, 4))}, "must hold codes of the shape [n, 4]. Received: latents"),
        (
            "invert",
            {"codes": np.zeros((3, 4)), "factors.digit": np.zeros((3, 1))},
            "must hold codes or factors, not both",
        ),
        ("invert", {"factors.digit": np.zeros((3, 1))}, "must hold factors.residual of the shape [n, 2]"),
        (
            "invert",
            {"factors.hue": np.zeros((3, 1))},
            "must hold factors.residual, factors.digit, factors.color. Received: ",
        ),
        (
            "invert",
            {
                "factors.residual": np.zeros((3, 2)),
                "factors.digit": np.zeros((2, 1)),
                "factors.color": np.zeros((3, 1)),
            },
            "must have as many rows each. Received: factors.residual 3, factors.digit 2, factors.color 3",
        ),
    ],
)
def test_files_must_fit_the_model(folder: Path, name: str, arrays: dict[str, Any], message: str) -> None:
    """What a file lacks, or has of another shape, is told with what it holds."""
    save_file(arrays, "in.safetensors")
    assert message in refused(name, "tiny", "in.safetensors", "out.safetensors")
    assert not (folder / "out.safetensors").exists()


def test_arrays_must_fit_the_model(folder: Path) -> None:
    """An array of NumPy's is told by the name of what it is taken for."""
    np.save("wide.npy", np.zeros((3, 5)))
    assert "latents in wide.npy must have the shape [n, 4]" in refused("encode", "tiny", "wide.npy", "out.npy")
    assert "codes in wide.npy must have the shape [n, 4]" in refused("invert", "tiny", "wide.npy", "out.npy")
    assert "No such file or directory; mend the path" in refused("encode", "tiny", "nope.npy", "out.npy")


def test_factors_are_several_arrays(folder: Path) -> None:
    """Factors do not go into one array, which is wrong usage; a model without a layout has none."""
    assert "OUT must end in .safetensors" in refused("factors", "tiny", "latents.npy", "out.npy", code=2)
    put_plan(folder / "models", "plain", manifest="")
    save_file({"factors.digit": np.zeros((3, 1))}, "factors.safetensors")
    for name, source in (("factors", "latents.npy"), ("invert", "factors.safetensors")):
        assert "MODEL must have factors, and this one names none" in refused(name, "plain", source, "out.safetensors")


def slow() -> None:
    """Make every pass through a flow tell that it begins, and take a while."""
    original = CompiledFlow.encode

    def encode(self: CompiledFlow, latents: Any) -> Any:
        print("pass", flush=True)
        subprocess.run(["sleep", "0.2"], check=True)
        return original(self, latents)

    CompiledFlow.encode = encode  # type: ignore[method-assign]


SLOWLY = "from tests.app.commands.test_rows import slow; import app.commands.passes as module; module.CHUNK_NUMBERS = 1; slow()"


@pytest.mark.parametrize(("sent", "there"), [(signal.SIGINT, False), (signal.SIGINT, True), (signal.SIGTERM, True)])
def test_an_interrupt_leaves_no_half_file(folder: Path, sent: signal.Signals, there: bool) -> None:
    """Ctrl+C in the middle ends with 130, SIGTERM with 143, without a traceback, and everything is as it was."""
    if there:
        np.save("codes.npy", np.zeros(3))
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    arguments = command("encode", "tiny", "latents.npy", "codes.npy", "--force", before=SLOWLY)
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        # The checks of the load make passes too: those of the file come behind them.
        while not list(folder.glob(".*.part")):
            assert process.stdout.readline()
        process.send_signal(sent)
        _, errors = process.communicate(timeout=SECONDS)
    assert process.returncode == 128 + sent
    assert "Interrupted: nothing was written." in errors
    assert "Traceback" not in errors
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before


def test_a_bar_on_terminals_only(folder: Path) -> None:
    """Long work shows its progress on a terminal; not where it is told to be quiet, nor where there is none."""
    long = "import app.commands.passes as module; module.CHUNK_NUMBERS = 1"
    shown = {}
    for name, options in {"bar": [], "quiet": ["--quiet"]}.items():
        master, terminal = pty.openpty()
        arguments = command("encode", "tiny", "latents.npy", f"{name}.npy", *options, before=long)
        subprocess.run(arguments, stderr=terminal, check=True, timeout=SECONDS)
        os.close(terminal)
        shown[name] = b""
        while piece := read_terminal(master):
            shown[name] += piece
        os.close(master)
    assert re.search(rb"100/100", shown["bar"])
    assert shown["quiet"] == b""
    done = subprocess.run(
        command("encode", "tiny", "latents.npy", "none.npy", before=long),
        capture_output=True,
        check=True,
        timeout=SECONDS,
    )
    assert done.stderr == b""


def read_terminal(master: int) -> bytes:
    """What a terminal shows, until nobody writes to it any more."""
    try:
        return os.read(master, 4096)
    except OSError:
        return b""


PEAK = "import re; text = open('/proc/self/status').read(); print(re.search(r'VmHWM:\\s+(\\d+)', text)[1])"


def test_memory_does_not_grow_with_the_rows(folder: Path) -> None:
    """Eight times the rows take the same memory at their peak, within a few percent, though they lie in columns."""
    peaks = {}
    for count in (100_000, 800_000):
        latents = np.zeros((count, SIZE), order="F")
        np.save("many.npy", latents)
        script = f"import atexit; atexit.register(lambda: exec({PEAK!r}))"
        done = subprocess.run(
            command("encode", "tiny", "many.npy", "codes.safetensors", "--force", before=script),
            capture_output=True,
            text=True,
            check=True,
            timeout=SECONDS,
        )
        peaks[count] = int(done.stdout)
        assert load_file("codes.safetensors")["codes"].shape == (count, SIZE)
    assert peaks[800_000] < 1.05 * peaks[100_000], peaks


def test_chunks_hold_a_few_rows_at_least(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that are larger than a chunk should be go through some at a time all the same."""
    seen = []

    class Watching(CompiledFlow):
        def encode(self, latents: Any) -> Any:
            seen.append(len(latents))
            return super().encode(latents)

    monkeypatch.setattr(passes, "CHUNK_NUMBERS", 1)
    plan = Plan((Opaque(lambda x: (x, x[:, 0]), lambda x: x),), (SIZE,), (SIZE,), np.dtype("float32"))
    model = type("Model", (), {"flow": Watching(plan), "layout": None})()
    monkeypatch.setattr(module, "ready_version", lambda *_: (type("V", (), {"name": "a", "number": "1"}), model))
    call("encode", "tiny", "latents.npy", "out.npy")
    assert seen == [16] * 6 + [4]
