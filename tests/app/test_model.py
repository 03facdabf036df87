"""Loading is a function from a path to a model."""

import hashlib
import sys
import tempfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from app import model as model_module
from app.errors import UnloadableModel
from app.manifest import read_golden
from app.model import Loaded, Loader, load, load_with_keras
from app.primitives import Primitive
from gyoza.inference import Proof, write_plan
from gyoza.inference.checks import Check, Golden
from gyoza.inference.plan import Origin
from tests.app.worlds import LATENTS, TinyFlow, affine, coupled, put, tiny_loader

ROWS = (1, 8)
DIGEST = hashlib.sha256(b"bug").hexdigest()
"""Of the file that ``put_plan`` puts beside its plan."""


def test_a_version_folder_is_loaded_and_timed(tmp_path: Path) -> None:
    """A folder's flow is loaded, its factors laid out, and either direction timed for each count of rows."""
    model = load(put(tmp_path), tiny_loader, ROWS)
    assert model.layout is not None
    assert model.layout.size == 4
    assert {primitive: list(seconds) for primitive, seconds in model.seconds.items()} == {
        Primitive.ENCODE: [1, 8],
        Primitive.INVERT: [1, 8],
    }
    assert all(seconds >= 0 for timed in model.seconds.values() for seconds in timed.values())


def test_a_loose_file_is_loaded(tmp_path: Path) -> None:
    """A loose file is a model of its own."""
    path = tmp_path / "other.keras"
    path.write_text("plain")
    model = load(path, tiny_loader, ROWS)
    assert model.layout is None
    assert list(model.files) == ["other.keras"]


@pytest.mark.parametrize(
    ("text", "manifest", "reason"),
    [
        ("unproven", "", r"round trip: error 0\.5, limit 0\.001"),
        ("too many factors", "", "file's own config must have as many columns"),
        ("affine", "[[factors]]\nname = 'a'\nsize = 3", r"flow\.toml must have as many columns"),
        ("image", "[[factors]]\nname = 'a'\nsize = 4", r"\[2, 2, 1\]"),
        ("affine", "nonsense", "must be TOML"),
    ],
)
def test_what_is_not_proven_does_not_load(tmp_path: Path, text: str, manifest: str, reason: str) -> None:
    """A failed check, or factors that do not cover the code, keep a model from loading."""
    with pytest.raises(UnloadableModel, match=reason):
        load(put(tmp_path, text=text, manifest=manifest), tiny_loader, ROWS)


def test_golden_vectors_must_be_met(tmp_path: Path) -> None:
    """A flow that makes something else of the golden rows than was recorded does not load."""
    path = put(tmp_path)
    latents = np.array(LATENTS, np.float32)
    codes, logdet = affine().encode(latents)
    save_file({"latents": latents, "codes": codes + 1, "logdet": logdet}, path / "golden.safetensors")
    with pytest.raises(UnloadableModel, match="golden vectors: error"):
        load(path, tiny_loader, ROWS)


def put_plan(folder: Path, digest: str = DIGEST) -> Path:
    """Put a version that holds a plan and, without saying so, no flow that could be loaded."""
    path = put(folder, text="bug")
    origin = Origin({"residual": 3, "digit": 1}, 2, 9, {"gyoza": "0"})
    plan = replace(affine().plan, origin=origin)
    write_plan(path / "plan.safetensors", plan, Proof((Check("compiled as layers", 1e-7, 1e-4),), digest))
    return path


def test_a_plan_is_served_in_the_flow_s_place(tmp_path: Path) -> None:
    """Where a plan lies beside a flow the flow's file is not loaded; what is known of it comes with the plan."""
    model = load(put_plan(tmp_path), tiny_loader, ROWS)
    np.testing.assert_array_equal(model.flow.encode(LATENTS)[0], affine().encode(LATENTS)[0])
    assert model.layout is not None
    assert [factor.name for factor in model.layout.factors] == ["residual", "digit"]
    assert (model.loaded.layers, model.loaded.parameters, model.loaded.libraries) == (2, 9, {"gyoza": "0"})
    assert [check.name for check in model.loaded.checks][:2] == ["compiled as layers", "compiled as its steps"]
    assert set(model.files) == {"flow.keras", "plan.safetensors"}


def test_a_plan_needs_no_flow_beside_it(tmp_path: Path) -> None:
    """A version may hold the plan alone, and its golden rows are met all the same."""
    path = put_plan(tmp_path, "0" * 64)
    (path / "flow.keras").unlink()
    latents = np.array(LATENTS, np.float32)
    codes, logdet = affine().encode(latents)
    save_file({"latents": latents, "codes": codes, "logdet": logdet}, path / "golden.safetensors")
    assert load(path, tiny_loader, ROWS).loaded.checks[-1].name == "golden vectors"


def test_a_plan_of_another_flow_does_not_load(tmp_path: Path) -> None:
    """A flow that was replaced beside its plan is noticed by its digest; the right digest is fine."""
    with pytest.raises(
        UnloadableModel, match=rf"must be compiled from the flow\.keras beside it .* {DIGEST}\. Received: 0"
    ):
        load(put_plan(tmp_path / "a", "0" * 64), tiny_loader, ROWS)
    assert load(put_plan(tmp_path / "b"), tiny_loader, ROWS).flow.dtype == np.float32


def test_a_plan_that_does_not_say_of_which_flow_it_is_does_not_load(tmp_path: Path) -> None:
    """Beside a flow, a plan without a digest may be of any: the reason says how to make one that tells."""
    path = put(tmp_path, text="coupled")
    affine().save(path / "plan.safetensors")
    with pytest.raises(
        UnloadableModel, match=r"a plan that records none\. Compile it anew by gyoza\.loading\.compile_file"
    ):
        load(path, tiny_loader, ROWS)


def test_a_listed_flow_must_lie_beside_its_plan(tmp_path: Path) -> None:
    """A plan alone is enough, but not where flow.toml records a flow."""
    path = put_plan(tmp_path)
    (path / "flow.toml").write_text(f'[files]\n"flow.keras" = "{DIGEST}"\n')
    load(path, tiny_loader, ROWS)
    (path / "flow.keras").unlink()
    with pytest.raises(UnloadableModel, match=r"flow\.keras must have the SHA-256 .* Received: no file"):
        load(path, tiny_loader, ROWS)


@pytest.mark.parametrize("name", ["flow.keras", "notes"])
def test_what_a_link_leads_to_is_told_to_nobody(name: str, tmp_path: Path) -> None:
    """The reason is shown to clients: it holds nothing of another file's content, not its digest either."""
    (tmp_path / "secret").write_text("1234")
    path = put(tmp_path)
    (path / name).unlink(missing_ok=True)
    (path / name).symlink_to(tmp_path / "secret")
    (path / "flow.toml").write_text(f'[files]\n"{name}" = "{DIGEST}"\n')
    with pytest.raises(UnloadableModel, match=rf"{name} must have the SHA-256 {DIGEST} .* Received: another one$"):
        load(path, tiny_loader, ROWS)


@pytest.mark.parametrize("with_plan", [True, False])
@pytest.mark.parametrize(("rows", "columns"), [(2, 5), (0, 4)])
def test_golden_rows_must_fit_the_flow(tmp_path: Path, rows: int, columns: int, with_plan: bool) -> None:
    """Rows of another shape, or none, keep a version from loading, with or without a plan, and the reason says why."""
    path = put_plan(tmp_path) if with_plan else put(tmp_path)
    values = np.zeros((rows, columns), np.float32)
    save_file({"latents": values, "codes": values, "logdet": values[:, 0]}, path / "golden.safetensors")
    with pytest.raises(UnloadableModel, match=r"golden\.safetensors does not fit the flow: .*of the shape \[n, 4\]"):
        load(path, tiny_loader, ROWS)


def test_a_damaged_plan_does_not_load(tmp_path: Path) -> None:
    """A plan that can't be read is no reason to load something else."""
    path = put_plan(tmp_path)
    (path / "plan.safetensors").write_bytes(b"PK")
    with pytest.raises(UnloadableModel, match=r"plan\.safetensors must hold a plan that can be run"):
        load(path, tiny_loader, ROWS)


def test_a_flow_is_needed(tmp_path: Path) -> None:
    """A version folder without a flow does not load."""
    (put(tmp_path) / "flow.keras").unlink()
    with pytest.raises(UnloadableModel, match=r"flow\.keras is missing in 1"):
        load(tmp_path / "tiny/1", tiny_loader, ROWS)


def test_without_keras_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Keras is not installed, the reason says which extra to install."""
    monkeypatch.setitem(sys.modules, "gyoza.loading", None)
    with pytest.raises(UnloadableModel, match=r"needs Keras.*extra cpu or gpu"):
        load_with_keras(tmp_path / "flow.keras", None)


def rewriting(path: Path) -> Loader:
    """A loader that reads other bytes than lie there when it is done."""

    def loader(found: Path, golden: Golden | None) -> Loaded:
        flow = replace(tiny_loader(found, golden), digest=hashlib.sha256(found.read_bytes()).hexdigest())
        path.write_text("coupled")
        return flow

    return loader


@pytest.mark.parametrize("loose", [False, True])
def test_what_was_digested_is_what_is_loaded(loose: bool, tmp_path: Path) -> None:
    """A flow that changes between its digest and its loading is refused; one that changes later is what it was."""
    path = put(tmp_path)
    file = path / "flow.keras"
    model = load(file if loose else path, rewriting(file), ROWS)
    assert model.loaded.digest == model.files["flow.keras"] != hashlib.sha256(file.read_bytes()).hexdigest()

    def late(found: Path, golden: Golden | None) -> Loaded:
        found.write_text("image")
        return rewriting(file)(found, golden)

    with pytest.raises(UnloadableModel, match=r"flow\.keras changed while it was loaded; .* by renaming its folder"):
        load(file if loose else path, late, ROWS)


def test_a_plan_that_changes_while_it_is_loaded_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole as the other plan may be."""
    path = put_plan(tmp_path)

    def meanwhile(golden: Path, digests: Any) -> Golden | None:
        write_plan(path / "plan.safetensors", coupled().plan, Proof((), DIGEST))
        return read_golden(golden, digests)

    monkeypatch.setattr(model_module, "read_golden", meanwhile)
    with pytest.raises(UnloadableModel, match=r"plan\.safetensors changed while it was loaded"):
        load(path, tiny_loader, ROWS)


def test_links_are_followed(tmp_path: Path) -> None:
    """As Kubernetes mounts a volume: each file a link into a folder that is a link itself, which may lie elsewhere."""
    path = put(tmp_path / "elsewhere")
    version = tmp_path / "models/tiny/1"
    version.mkdir(parents=True)
    (version / "..data").symlink_to(path)
    for file in path.iterdir():
        (version / file.name).symlink_to(f"..data/{file.name}")
    assert load(version, tiny_loader, ROWS).files == load(path, tiny_loader, ROWS).files


def test_a_file_that_can_not_be_read_is_named(tmp_path: Path) -> None:
    """By its name and the system's reason, without the path."""

    def forbidden(path: Path, golden: Golden | None) -> TinyFlow:
        raise PermissionError(13, "Permission denied", str(path))

    with pytest.raises(UnloadableModel, match=r"^flow\.keras can't be read: Permission denied; let the server's user"):
        load(put(tmp_path), forbidden, ROWS)

    def failing(path: Path, golden: Golden | None) -> TinyFlow:
        raise OSError(5, "Input/output error")

    with pytest.raises(UnloadableModel, match=r"^1 can't be read: Input/output error"):
        load(put(tmp_path / "b"), failing, ROWS)


PARTS = ("flow.keras", "plan.safetensors", "golden.safetensors", "flow.toml")


@given(name=st.sampled_from(PARTS), place=st.floats(0, 1), bit=st.integers(0, 7), cut=st.booleans())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_befalls_a_file_the_version_is_refused_or_loads(
    name: str, place: float, bit: int, cut: bool, tmp_path: Path
) -> None:
    """A bit that flips, or an end that is missing: only the one error comes of it."""
    with tempfile.TemporaryDirectory(dir=tmp_path) as folder:
        path = put_plan(Path(folder))
        latents = np.array(LATENTS, np.float32)
        codes, logdet = affine().encode(latents)
        save_file({"latents": latents, "codes": codes, "logdet": logdet}, path / "golden.safetensors")
        (path / "flow.toml").write_text("description = 'a flow'\n[[factors]]\nname = 'all'\nsize = 4\n")
        content = bytearray((path / name).read_bytes())
        at = int(place * (len(content) - 1))
        content[at] ^= 1 << bit
        (path / name).write_bytes(content[:at] if cut else content)
        with suppress(UnloadableModel):
            assert load(path, tiny_loader, (1,)).flow.code_shape == (4,)
