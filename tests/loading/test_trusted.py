"""Modules that are trusted: imported because a reader says so, and only then."""

import sys
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest

from gyoza.loading import LoadError, compile_file, load_flow, load_model, read_model
from gyoza.modelling.flow_layers import FlowModel

MODULE = '''
"""A reader's own layers."""
import keras
from gyoza.modelling.flow_layers import Reflection
with open({marker!r}, "w"):
    pass

@keras.saving.register_keras_serializable(package="mine")
class Mirror(Reflection):
    """A reflection of a reader's own."""
'''


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A flow with a layer of a module that is not imported."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "mirrors.py").write_text(MODULE.format(marker=str(tmp_path / "imported")))
    import mirrors  # type: ignore[import-not-found]

    model = FlowModel([mirrors.Mirror([4], [1], reflection_count=1)])
    model.build((None, 4))
    model.save(tmp_path / "flow.keras")
    forget(tmp_path)
    yield tmp_path / "flow.keras"
    forget(tmp_path)


def forget(folder: Path) -> None:
    """As if the module had never been imported."""
    sys.modules.pop("mirrors", None)
    keras.saving.get_custom_objects().pop("mine>Mirror", None)
    (folder / "imported").unlink(missing_ok=True)


def test_a_module_is_imported_only_for_who_trusts_it(path: Path) -> None:
    """A file that names a class of a module gets nothing imported; the refusal says how to trust the module."""
    with pytest.raises(LoadError, match=r"names mine>Mirror .*name the module that registers it in trusted_modules"):
        load_flow(path)
    with pytest.raises(LoadError, match="names mine>Mirror"):
        load_model(path)
    assert not path.with_name("imported").exists()
    assert read_model(path, ["mirrors"]).built
    assert path.with_name("imported").exists()


def test_a_flow_of_trusted_layers_loads(path: Path) -> None:
    """Through the checks, to a plan, and for training."""
    flow = load_flow(path, trusted_modules=["mirrors"])
    assert all(check.passed for check in flow.checks)
    latents = np.eye(4, dtype="float32")
    codes, _ = load_model(path, trusted_modules=["mirrors"])(latents)
    np.testing.assert_allclose(flow.flow.encode(latents)[0], codes, atol=1e-6)
    compiled = compile_file(path, path.with_name("plan.safetensors"), trusted_modules=["mirrors"])
    np.testing.assert_allclose(compiled.flow.encode(latents)[0], codes, atol=1e-6)


@pytest.mark.parametrize("name", ["mirror", "mirrors.more", "os", "keras"])
def test_trust_in_another_module_is_none_in_this_one(name: str, path: Path, tmp_path: Path) -> None:
    """A name that only begins so, or any other module's, does not count, even where the class is registered."""
    (tmp_path / "mirror.py").write_text("")
    load_flow(path, trusted_modules=["mirrors"])
    if name == "mirrors.more":
        with pytest.raises(LoadError, match=r"the trusted module mirrors\.more can't be imported"):
            load_flow(path, trusted_modules=[name])
        return
    with pytest.raises(LoadError, match="names mine>Mirror"):
        load_flow(path, trusted_modules=[name])


def test_a_module_that_can_not_be_imported_is_told(path: Path, tmp_path: Path) -> None:
    """The error names the module, what it raised, and the setting."""
    (tmp_path / "broken.py").write_text("raise RuntimeError('no licence')")
    with pytest.raises(LoadError, match=r"broken can't be imported: RuntimeError: no licence.*GYOZA_TRUSTED_MODULES"):
        load_flow(path, trusted_modules=["broken"])
