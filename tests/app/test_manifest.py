"""What lies beside a flow."""

import os
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from app.errors import UnloadableModel
from app.manifest import Manifest, Outputs, check_digests, digest, read_golden, read_manifest

FACTOR = '[[factors]]\nname = "residual"\nsize = 3\n'


def write(folder: Path, text: str) -> Path:
    """Write a flow.toml."""
    path = folder / "flow.toml"
    path.write_text(text)
    return path


def test_nothing_is_needed(tmp_path: Path) -> None:
    """Without a flow.toml or golden vectors there is nothing to check."""
    assert read_manifest(tmp_path / "flow.toml") == Manifest()
    assert read_golden(tmp_path / "golden.safetensors", {}) is None


def test_everything_is_read(tmp_path: Path) -> None:
    """Description, factors in order, outputs and digests are read."""
    text = (
        f"description = 'x'\n{FACTOR}[[factors]]\nname = 'hue'\nsize = 2\nrange = [0, 1]\n[outputs]\nkind = 'image'\n"
    )
    manifest = read_manifest(write(tmp_path, f"{text}[files]\n'flow.keras' = 'sha256:{'AB' * 32}'\n"))
    assert manifest.layout is not None
    assert [(factor.name, factor.start, factor.size, factor.range) for factor in manifest.layout.factors] == [
        ("residual", 0, 3, None),
        ("hue", 3, 2, (0.0, 1.0)),
    ]
    assert (manifest.description, manifest.outputs, manifest.digests) == (
        "x",
        Outputs(kind="image"),
        {"flow.keras": "ab" * 32},
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("description = ", "must be TOML"),
        ("description = 3", "not description"),
        ("colour = 3", "not colour"),
        ("factors = []", "one factor or more"),
        ("factors = [3]", "has the keys"),
        (FACTOR * 2, "each once"),
        (FACTOR + "colour = 1", "has the keys"),
        (FACTOR + "description = 1", "must be a text"),
        ("[[factors]]\nsize = 3", "name must match"),
        ("[[factors]]\nname = 'a.b'\nsize = 3", "name must match"),
        ("[[factors]]\nname = 'logdet'\nsize = 3", "not be codes, latents, log_likelihood, logdet"),
        ("[[factors]]\nname = 'a'", "integer of 1 or more"),
        ("[[factors]]\nname = 'a'\nsize = 0", "integer of 1 or more"),
        ("[[factors]]\nname = 'a'\nsize = true", "integer of 1 or more"),
        (FACTOR + "range = [1, 0]", "lower first"),
        (FACTOR + "range = [0, inf]", "lower first"),
        (FACTOR + "range = 'all'", "lower first"),
        ("[outputs]\nshape = []", "may hold a shape, integers of 1 or more"),
        ("[outputs]\nshape = [8, 0]", "may hold a shape"),
        ("[outputs]\nshape = '8'", "may hold a shape"),
        ("[outputs]\nkind = 3", "and a kind"),
        ("[outputs]\nkind = ''", "and a kind"),
        ("[outputs]\ncolour = 'red'", "may hold a shape"),
        ("[files]\n'flow.keras' = 'abc'", "SHA-256"),
        (f"[files]\n'../flow.keras' = '{'ab' * 32}'", "beside it"),
    ],
)
def test_mistakes_are_told(tmp_path: Path, text: str, reason: str) -> None:
    """A flow.toml that breaks a rule is refused with the rule."""
    with pytest.raises(UnloadableModel, match=reason):
        read_manifest(write(tmp_path, text))


def test_digests(tmp_path: Path) -> None:
    """Files must have the digests that are recorded; all that are read here are told."""
    (tmp_path / "flow.keras").write_bytes(b"x")
    (tmp_path / "other.bin").write_bytes(b"y")
    found = {name: sha256((tmp_path / name).read_bytes()).hexdigest() for name in ("flow.keras", "other.bin")}
    assert check_digests(tmp_path, Manifest(digests=found)) == found
    for name in ("flow.keras", "missing"):
        with pytest.raises(UnloadableModel, match=f"{name} must have the SHA-256"):
            check_digests(tmp_path, Manifest(digests={name: "ab" * 32}))


def test_golden_vectors(tmp_path: Path) -> None:
    """Golden vectors are the three arrays; a file without them, or a damaged one, is refused."""
    path = tmp_path / "golden.safetensors"
    arrays = {"latents": np.ones((2, 4)), "codes": np.zeros((2, 4)), "logdet": np.ones(2)}
    save_file(arrays, path)
    golden = read_golden(path, {path.name: digest(path)})
    assert golden is not None
    np.testing.assert_array_equal(golden.codes, arrays["codes"])
    save_file({"latents": arrays["latents"]}, path)
    with pytest.raises(UnloadableModel, match="with latents, codes, logdet"):
        read_golden(path, {path.name: digest(path)})
    path.write_bytes(b"damaged")
    with pytest.raises(UnloadableModel, match="must be a safetensors file"):
        read_golden(path, {path.name: digest(path)})


def test_a_file_that_changes_is_refused(tmp_path: Path) -> None:
    """What was digested is what is used, or nothing is."""
    path = tmp_path / "golden.safetensors"
    arrays = {"latents": np.ones((2, 4)), "codes": np.zeros((2, 4)), "logdet": np.ones(2)}
    save_file(arrays, path)
    before = {path.name: digest(path)}
    save_file({**arrays, "logdet": np.zeros(2)}, path)
    with pytest.raises(UnloadableModel, match=r"golden\.safetensors changed while it was loaded; write a version else"):
        read_golden(path, before)
    manifest = read_manifest(write(tmp_path, FACTOR))
    write(tmp_path, FACTOR + "description = 'x'")
    with pytest.raises(UnloadableModel, match=r"flow\.toml changed while it was loaded"):
        check_digests(tmp_path, manifest)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("#" * 300_000, r"at most 262,144 bytes\. Received: 300,000 bytes"),
        (f"outputs = {{a = {'[' * 20}{']' * 20}}}", "nested at most 10 levels deep"),
        (f"outputs = {{a = {'[' * 100_000}", "must be TOML"),
        (f"outputs.{'a.' * 50_000}a = 1", "nested at most 10 levels deep"),
        ("[outputs." + '"a" . ' * 40_000 + "a]", "nested at most 10 levels deep"),
        ("x" * 200_000, "must be TOML"),
        ("'" * 200_000, "must be TOML"),
        ("description = '\udcff'", "must be TOML in UTF-8"),
    ],
)
def test_a_manifest_is_small(tmp_path: Path, text: str, reason: str) -> None:
    """Neither size nor depth takes the reader's time or stack."""
    path = tmp_path / "flow.toml"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(UnloadableModel, match=reason):
        read_manifest(path)


def test_pipes_are_not_waited_for(tmp_path: Path) -> None:
    """What is no file is refused, or is not there."""
    for name in ("flow.toml", "golden.safetensors"):
        os.mkfifo(tmp_path / name)
    with pytest.raises(UnloadableModel, match=r"flow\.toml must be .* Received: a pipe"):
        read_manifest(tmp_path / "flow.toml")
    assert check_digests(tmp_path, Manifest()) == {}
    with pytest.raises(UnloadableModel, match=r"flow\.toml can't be loaded: .* Received: a pipe"):
        digest(tmp_path / "flow.toml")
