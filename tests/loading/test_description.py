"""A flow is described as its file holds it."""

from pathlib import Path

import keras
import numpy as np
import pytest

from gyoza.loading import LoadError, describe_flow
from gyoza.loading.description import LayerNote
from gyoza.modelling.flow_layers import DisentanglingFlowModel, FlowModel, HeavisidePermutation, Reshape


def test_layers_plan_and_digest(saved: tuple[Path, DisentanglingFlowModel]) -> None:
    """Each layer is named with its class, its weights and the shape it gives; the plan is the model's own."""
    path, model = saved
    described = describe_flow(path)
    assert [layer.kind for layer in described.layers] == [
        "ActivationNormalization",
        "Reflection",
        "AdditiveCoupling",
        "HeavisidePermutation",
        "AffineCoupling",
    ]
    assert sum(layer.parameters for layer in described.layers) == model.count_params()
    assert {layer.output_shape for layer in described.layers} == {(4,)}
    assert described.plan.latent_shape == (4,)
    assert len(described.digest) == 64


def test_shapes_change_from_layer_to_layer(tmp_path: Path) -> None:
    """The shape of a layer is the one behind it."""
    flow = FlowModel(
        [
            Reshape(shape=[4], axes=[1], target_shape=[2, 2], name="square"),
            HeavisidePermutation(shape=[2], axes=[1], name="swap"),
        ]
    )
    flow.build((None, 4))
    flow.save(tmp_path / "flow.keras")
    first, second = describe_flow(tmp_path / "flow.keras").layers
    assert first == LayerNote("square", "Reshape", 0, (2, 2))
    assert second.output_shape == (2, 2)


def test_what_is_no_flow_is_refused(tmp_path: Path) -> None:
    """Other models, and flows that no plan can hold, are told."""
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(4)]).save(tmp_path / "host.keras")
    with pytest.raises(LoadError, match=r"host\.keras must hold a FlowModel or a subclass of it. Received: Sequential"):
        describe_flow(tmp_path / "host.keras")
    half = FlowModel([HeavisidePermutation(shape=[2], axes=[1], dtype="float16")])
    half(np.zeros((1, 2)))
    half.save(tmp_path / "half.keras")
    with pytest.raises(LoadError, match=r"half\.keras can't be compiled: A plan computes in one of"):
        describe_flow(tmp_path / "half.keras")
