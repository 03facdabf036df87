"""Training on whichever backend the tests run on."""

from typing import Any

import keras
import numpy as np
import pytest

from gyoza.modelling.backend import assigns_in_traces
from gyoza.modelling.flow_layers import (
    ActivationNormalization,
    AffineCoupling,
    DisentanglingFlowModel,
    Reflection,
    models,
    normalization,
)
from gyoza.modelling.losses import SupervisedFactorLoss
from gyoza.modelling.masks import HeavisideMask
from gyoza.modelling.networks import dense_network

AT: dict[str, Any] = {"shape": [4], "axes": [1]}
X = np.random.default_rng(0).normal(3, 2, (96, 4)).astype("float32")


def flow() -> DisentanglingFlowModel:
    """A small flow on [4] with two factors, built."""
    keras.utils.set_random_seed(0)
    coupling = AffineCoupling(
        **AT, compute_coupling_parameters=dense_network(4, 2, widths=[8]), mask=HeavisideMask(**AT)
    )
    model = DisentanglingFlowModel(
        [ActivationNormalization(**AT), Reflection(**AT, reflection_count=2, seed=0), coupling],
        factors={"residual": 2, "a": 2},
    )
    model.build((None, 4))
    return model


def test_a_flow_learns_by_likelihood_and_from_pairs() -> None:
    """Once it is initialised from data, fit lowers both losses, and evaluate gives the loss by hand."""
    for loss, x, y in (
        (None, X, None),
        (SupervisedFactorLoss([2, 2]), (X, X[:, ::-1].copy()), np.tile([[0.0, 0.9]], (96, 1))),
    ):
        model = flow()
        model(X, training=True)
        np.testing.assert_allclose(model.get_weights()[0], X.mean(axis=0), rtol=1e-5)
        model.compile(keras.optimizers.Adam(0.02), loss)
        history = model.fit(x, y, epochs=6, batch_size=32, verbose=0).history
        assert history["loss"][-1] < history["loss"][0]
        if loss is None:
            expected = -keras.ops.convert_to_numpy(model.log_prob(X)).mean()
            assert model.evaluate(X, batch_size=32, verbose=0) == pytest.approx(expected, rel=1e-4)


def test_what_compiled_code_cannot_initialise_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where values assigned in traces are lost, layers stay as they are, count as not initialised, and fit says so."""
    if keras.backend.backend() == "torch":
        pytest.skip("PyTorch traces nothing")
    if assigns_in_traces():
        for module in (models, normalization):
            monkeypatch.setattr(module, "assigns_in_traces", lambda: False)
    model = flow()
    model.compile(keras.optimizers.SGD(0.0))
    with pytest.warns(UserWarning, match=r"once on a batch with training=True before fit. Received: layers="):
        model.fit(X, verbose=0)
    location, _, initialized = model._flow_layers_[0].get_weights()
    assert not initialized
    np.testing.assert_array_equal(location, np.zeros(4))
    model(X, training=True)
    model.fit(X, verbose=0)
