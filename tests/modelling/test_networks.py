"""Networks for couplings: what they give, and that they start as the identity."""

from typing import Any

import numpy as np
import pytest
from keras import ops

from gyoza.inference import compile_flow, plan
from gyoza.modelling.flow_layers import AdditiveCoupling, AffineCoupling, FlowModel, RationalQuadraticSplineCoupling
from gyoza.modelling.masks import CheckerBoardMask, HeavisideMask
from gyoza.modelling.networks import convolutional_network, dense_network

LAWS = {AdditiveCoupling: 1, AffineCoupling: 2, RationalQuadraticSplineCoupling: 23}


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_coupling_with_a_dense_network_starts_as_the_identity(law: Any, dtype: str) -> None:
    """Codes are latents and the logdet is 0 until training changes the network; the plan knows it as dense layers."""
    at: dict[str, Any] = {"shape": [5], "axes": [1]}
    network = dense_network(5, LAWS[law], widths=[7], dtype=dtype)
    model = FlowModel([law(**at, compute_coupling_parameters=network, mask=HeavisideMask(**at), dtype=dtype)])
    x = np.random.default_rng(0).standard_normal((3, 5)).astype(dtype)
    codes, logdet = model(x)
    np.testing.assert_allclose(codes, x, atol=1e-6)
    np.testing.assert_allclose(logdet, 0, atol=1e-6)
    (step,) = compile_flow(model).plan.steps
    assert isinstance(step, plan.Coupling)
    assert isinstance(step.network, plan.DenseNetwork)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize(("rank", "axes", "shape"), [(2, [1, 2], (4, 3, 2)), (1, [1], (6, 2))])
def test_a_coupling_with_convolutions_starts_as_the_identity(
    law: Any, rank: int, axes: list[int], shape: tuple[int, ...]
) -> None:
    """The same on images and on signals, of any size."""
    at: dict[str, Any] = {"shape": [shape[axis - 1] for axis in axes], "axes": axes}
    network = convolutional_network(shape[-1], LAWS[law], rank=rank, widths=[4])
    layer = law(**at, compute_coupling_parameters=network, mask=CheckerBoardMask(**at))
    x = np.random.default_rng(0).standard_normal((2, *shape)).astype("float32")
    codes, logdet = layer(x)
    np.testing.assert_allclose(codes, x, atol=1e-6)
    np.testing.assert_allclose(logdet, 0, atol=1e-5)


def test_a_seed_gives_the_same_kernels() -> None:
    """Networks of one seed are alike, with another kernel in each layer."""
    made = [dense_network(4, 1, widths=[4, 4], seed=seed) for seed in (3, 3, 4)]
    kernels = [[ops.convert_to_numpy(layer.kernel) for layer in network.layers[:2]] for network in made]
    np.testing.assert_array_equal(kernels[0], kernels[1])
    assert not np.allclose(kernels[0], kernels[2])
    assert not np.allclose(*kernels[0])


def test_widths_and_activation_are_as_told() -> None:
    """Hidden layers have the widths given, and the activation."""
    first, last = dense_network(4, 2, widths=[3], activation="relu").layers
    assert (first.units, first.activation.__name__, last.units, last.activation.__name__) == (3, "relu", 8, "linear")
    first, last = convolutional_network(2, 3, widths=[5], kernel_size=1).layers
    assert (first.filters, first.kernel_size, last.filters) == (5, (1, 1), 6)
    assert not ops.any(last.kernel)


def test_a_seed_draws_the_same_convolutions() -> None:
    """The same seed gives the same kernels, each layer its own; another seed others."""
    first, again, other = (convolutional_network(2, 1, widths=[2, 2], seed=seed) for seed in (0, 0, 1))
    kernels = [[ops.convert_to_numpy(layer.kernel) for layer in network.layers] for network in (first, again, other)]
    np.testing.assert_array_equal(kernels[0][1], kernels[1][1])
    assert np.abs(kernels[0][1] - kernels[2][1]).max() > 0.01
    assert np.abs(kernels[0][0] - kernels[0][1]).max() > 0.01


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: dense_network(0, 2), r"at least 1. Received: sizes=\[0, 2, 128, 128\]"),
        (lambda: dense_network(4, 2, widths=[0]), r"at least 1. Received: sizes=\[4, 2, 0\]"),
        (lambda: convolutional_network(4, 2, kernel_size=0), r"at least 1. Received: sizes=\[4, 2, 0, 64, 64\]"),
        (lambda: convolutional_network(4, 2, rank=3), r"rank must be 2 for images or 1 for signals. Received: rank=3"),
    ],
)
def test_sizes_that_make_no_network_are_refused(make: Any, message: str) -> None:
    """Every size is at least 1, and there are convolutions for one axis or two."""
    with pytest.raises(ValueError, match=message):
        make()


def test_sizes_are_integers() -> None:
    """Nothing is rounded."""
    with pytest.raises(TypeError, match=r"sizes must hold integers only"):
        dense_network(4.0, 2)  # type: ignore[arg-type]
