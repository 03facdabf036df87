"""Files in the shape of those that made Keras run foreign code or read foreign files: each is refused, and does nothing."""

import json
import sys
from pathlib import Path
from typing import Any

import h5py
import keras
import pytest

from gyoza.loading import LoadError, load_flow, load_model
from tests.loading.archives import edited, rewrite
from tests.loading.flows import flow_model
from tests.test_allow_list import MESSAGE, archive, sequential

VOCABULARY: dict[str, Any] = {"vocabulary": "/etc/passwd"}


def layer(name: str, module: str = "keras.layers", /, **config: Any) -> dict[str, Any]:
    """The node of a layer."""
    return {"module": module, "class_name": name, "config": {"name": "hole", **config}, "registered_name": None}


def function(module: str, name: str) -> dict[str, Any]:
    """The node of a function."""
    return {"module": module, "class_name": "function", "config": name, "registered_name": name}


LAMBDA = {"class_name": "__lambda__", "config": {"code": "4wEAAA==", "defaults": None, "closure": None, "value": "x"}}

HOLES: dict[str, dict[str, Any]] = {
    "CVE-2024-3660, code in a Lambda": layer("Lambda", function=LAMBDA),
    "CVE-2025-1550, a class of any module": layer("Evil", "evil_module"),
    "CVE-2025-1550, a registered name of any module": {
        **layer("Dense", units=3),
        "registered_name": "evil_module>Evil",
    },
    "CVE-2025-8747, a download": layer("get_file", "keras.utils", origin="file:///etc/passwd", fname="x"),
    "CVE-2025-8747, a download as an activation": layer(
        "Dense", units=3, activation=function("keras.utils", "get_file")
    ),
    "CVE-2025-8747, a loader": layer("load_model", "keras.models", filepath="evil.keras"),
    "CVE-2025-9906, unsafe mode": layer("enable_unsafe_deserialization", "keras.config"),
    "CVE-2025-9906, unsafe mode as a function": layer(
        "Activation", activation=function("keras.config", "enable_unsafe_deserialization")
    ),
    "CVE-2026-1462, a saved model": layer("TFSMLayer", filepath="evil", call_endpoint="serve"),
    "CVE-2026-1462, a saved model by its source": layer(
        "TFSMLayer", "keras.src.export.tfsm_layer", filepath="evil", call_endpoint="serve"
    ),
    "CVE-2025-12058, a vocabulary of texts": layer("StringLookup", **VOCABULARY),
    "a vocabulary of integers": layer("IntegerLookup", **VOCABULARY),
    "a vocabulary of words": layer("TextVectorization", **VOCABULARY),
    "a module of PyTorch": layer("TorchModuleWrapper", "keras.layers", module="gASVAA=="),
    "a function of JAX": layer("JaxLayer", "keras.layers"),
    "a module of Flax": layer("FlaxLayer", "keras.layers"),
    "a hole in a wrapper": layer("TimeDistributed", layer=layer("Lambda", function=LAMBDA)),
    "a hole in a wrapper that is on the list": layer("SpectralNormalization", layer=layer("Lambda", function=LAMBDA)),
    "a hole in another network": sequential(layer("Lambda", function=LAMBDA)),
    "a hole in how a layer is built": {**layer("Dense", units=3), "build_config": {"input_shape": LAMBDA}},
    "a text in how a layer is built": {**layer("Dense", units=3), "build_config": {"input_shape": "evil>evil"}},
    "a hole in how a layer is compiled": {**layer("Dense", units=3), "compile_config": {"loss": LAMBDA}},
    "a class of every module": layer("Dense", units=3, kernel_initializer=layer("__class__", "keras.initializers")),
    "a quantizer": layer("Dense", units=3, quantization_config=layer("Int8QuantizationConfig", "keras.quantizers")),
    "a tensor": layer("Dense", units={"class_name": "__tensor__", "config": {"value": [[3]], "dtype": "int32"}}),
    "an array": layer("Dense", units={"class_name": "__numpy__", "config": {"value": [[3]], "dtype": "object"}}),
    "an ellipsis": layer("Dense", units={"class_name": "__ellipsis__", "config": {}}),
    "a type of TensorFlow": layer("Dense", units={"class_name": "__typespec__", "config": [], "spec_name": "x"}),
    "a second object of an identity": {**layer("Lambda", function=LAMBDA), "shared_object_id": 1},
    "a layer of an old file": {"class_name": "Lambda", "config": {"name": "hole", "function": LAMBDA}},
}


@pytest.fixture
def evil(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that appears when a module of another's making is imported."""
    marker = tmp_path / "imported"
    (tmp_path / "evil_module.py").write_text(f"open({str(marker)!r}, 'w').close()\nclass Evil: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    return marker


@pytest.mark.parametrize("hole", HOLES)
def test_a_hole_is_refused(hole: str, tmp_path: Path, evil: Path) -> None:
    """The refusal names what is foreign; nothing was imported, and unsafe mode is still off."""
    path = archive(tmp_path / "flow.keras", sequential(HOLES[hole]))
    for load in (load_flow, load_model):
        with pytest.raises(LoadError, match=MESSAGE):
            load(path)
    assert not evil.exists()
    assert "evil_module" not in sys.modules
    with pytest.raises(ValueError, match="Python lambda"):
        keras.saving.deserialize_keras_object(LAMBDA)


@pytest.mark.parametrize("hole", [hole for hole in HOLES if HOLES[hole]["config"].get("name") == "hole"])
def test_the_layer_is_named_where_it_stands(hole: str, tmp_path: Path) -> None:
    """In the network of a coupling, the refusal names the layer and its place in the flow."""
    flow_model().save(tmp_path / "flow.keras")

    def change(config: dict[str, Any]) -> None:
        network = config["config"]["flow_layers"][2]["config"]["compute_coupling_parameters"]
        network["config"]["layers"].append(HOLES[hole])

    with pytest.raises(LoadError, match=r"\((layer '\w+', )?flow_layers\[2\]\), which is neither"):
        load_flow(rewrite(tmp_path / "flow.keras", tmp_path / "other.keras", edited(change)))


def test_a_lambda_in_an_old_file_is_not_read(tmp_path: Path) -> None:
    """CVE-2025-9905: Keras reads .h5 by a reader that knows no safe mode; here neither ending leads to it."""
    with h5py.File(tmp_path / "flow.h5", "w") as file:
        file.attrs["model_config"] = json.dumps(sequential(layer("Lambda", function=LAMBDA)))
    (tmp_path / "flow.keras").write_bytes((tmp_path / "flow.h5").read_bytes())
    with pytest.raises(LoadError, match=r"must be a \.keras file\. Received: the ending '\.h5'"):
        load_flow(tmp_path / "flow.h5")
    with pytest.raises(LoadError, match=r"must be a \.keras archive"):
        load_flow(tmp_path / "flow.keras")
