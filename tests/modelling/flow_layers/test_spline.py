"""Spline couplings against a spline written out by hand."""

from functools import partialmethod
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops
from scipy.optimize import brentq

from gyoza.inference import plan
from gyoza.inference.splines import couple_spline, decouple_spline
from gyoza.modelling.flow_layers import FlowModel, RationalQuadraticSplineCoupling
from gyoza.modelling.masks import Mask
from gyoza.modelling.networks import dense_network
from tests.modelling.layers import dense, randomize

BINS, BOUND = 5, 3.0
PARAMETERS = 3 * BINS - 1
AT: dict[str, Any] = {"shape": [2], "axes": [1]}


class Constant(keras.layers.Layer):
    """A network that gives the same parameters to every row."""

    def __init__(self, values: np.ndarray) -> None:
        """Keep the values [p·D]."""
        super().__init__(dtype="float64")
        self.values = values

    def call(self, inputs: Any) -> Any:
        """Repeat the values for each row of the inputs [batch, D]."""
        return ops.zeros_like(inputs[:, :1]) + ops.convert_to_tensor(self.values[None], inputs.dtype)


def layer_with(network: Any, **kwargs: Any) -> RationalQuadraticSplineCoupling:
    """A coupling on [2] in float64 that keeps entry 0 and moves entry 1."""
    keywords = {"bins": BINS, "bound": BOUND, "dtype": "float64", **kwargs}
    return RationalQuadraticSplineCoupling(
        **AT, compute_coupling_parameters=network, mask=Mask(**AT, mask=[1, 0]), **keywords
    )


def raw(seed: int = 0) -> np.ndarray:
    """Raw parameters [3·BINS − 1] of one entry."""
    return np.random.default_rng(seed).normal(0, 2, PARAMETERS)


def by_hand(x: float, parameters: np.ndarray) -> float:
    """The spline of Durkan et al. (2019), equation 4, at one place, with loops."""
    if not -BOUND < x < BOUND:
        return x
    shares = []
    for part in (parameters[:BINS], parameters[BINS : 2 * BINS]):
        total = sum(np.exp(value) for value in part)
        shares.append([0.01 + (1 - 0.01 * BINS) * np.exp(value) / total for value in part])
    softplus = [np.log1p(np.exp(value + np.log(np.exp(0.99) - 1))) for value in parameters[2 * BINS :]]
    slopes = [1.0, *(0.01 + value for value in softplus), 1.0]
    left, low = -BOUND, -BOUND
    for k in range(BINS):
        width, height = 2 * BOUND * shares[0][k], 2 * BOUND * shares[1][k]
        if x < left + width or k == BINS - 1:
            break
        left, low = left + width, low + height
    s, xi = height / width, (x - left) / width
    numerator = height * (s * xi**2 + slopes[k] * xi * (1 - xi))
    return float(low + numerator / (s + (slopes[k + 1] + slopes[k] - 2 * s) * xi * (1 - xi)))


def moved(layer: RationalQuadraticSplineCoupling, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The second entries [n] and the logdets [n] that a layer makes of second entries x [n]."""
    y, logdet = layer(np.stack([np.zeros_like(x), x], axis=1))
    return ops.convert_to_numpy(y)[:, 1], ops.convert_to_numpy(logdet)


@pytest.mark.parametrize("seed", range(3))
def test_it_is_the_spline_of_the_paper(seed: int) -> None:
    """Values, inverses and slopes are those of a loop over the bins, of a root search and of differences."""
    values, x = raw(seed), np.linspace(-4, 4, 80)
    layer = layer_with(Constant(np.repeat(values, 2)))
    y, logdet = moved(layer, x)
    np.testing.assert_allclose(y, [by_hand(place, values) for place in x], atol=1e-12)
    slope = [(by_hand(place + 1e-6, values) - by_hand(place - 1e-6, values)) / 2e-6 for place in x]
    np.testing.assert_allclose(np.exp(logdet), slope, rtol=1e-5)
    roots = [brentq(lambda place, y=height: by_hand(place, values) - y, -5, 5, xtol=1e-13) for height in x]
    found = ops.convert_to_numpy(layer.invert(np.stack([np.zeros_like(x), x], axis=1)))[:, 1]
    np.testing.assert_allclose(found, roots, atol=1e-9)


def test_it_is_monotone_and_continuous() -> None:
    """Over the interval and beyond its ends the curve rises without a jump."""
    y, _ = moved(layer_with(Constant(np.repeat(raw(), 2))), np.linspace(-1.2 * BOUND, 1.2 * BOUND, 20001))
    steps = np.diff(y)
    assert steps.min() > 0
    assert steps.max() < 0.1


def test_outside_the_interval_it_is_the_identity() -> None:
    """Entries beyond ±bound stay as they are, and so do those at it; they add nothing to the logdet."""
    x = np.array([-1e30, -3.5, -BOUND, BOUND, 3.0001, 1e6])
    y, logdet = moved(layer_with(Constant(np.repeat(raw(), 2))), x)
    np.testing.assert_allclose(y, x, rtol=1e-15)
    np.testing.assert_allclose(logdet, 0, atol=1e-12)


@pytest.mark.parametrize("bins", [2, 8, 100])
def test_parameters_of_0_make_the_identity(bins: int) -> None:
    """A network whose last layer is 0 starts the coupling as the identity."""
    network = dense_network(2, 3 * bins - 1, widths=[4], dtype="float64")
    x = np.linspace(-5, 5, 41)
    y, logdet = moved(layer_with(network, bins=bins), x)
    np.testing.assert_allclose(y, x, atol=1e-13)
    np.testing.assert_allclose(logdet, 0, atol=1e-12)


def test_a_density_in_the_plane_integrates_to_one() -> None:
    """∫ exp(log_prob) = 1 for splines in both directions of the plane."""
    layers = []
    for mask in ([1, 0], [0, 1]):
        layers.append(
            RationalQuadraticSplineCoupling(
                **AT,
                compute_coupling_parameters=dense(2, 2 * PARAMETERS, "float64"),
                mask=Mask(**AT, mask=mask),
                bins=BINS,
                dtype="float64",
            )
        )
    model = FlowModel(layers)
    model.build((None, 2))
    randomize(model, 0, spread=0.5)
    line = np.linspace(-8, 8, 401)
    grid = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
    assert float(np.exp(model.log_prob(grid)).sum() * 0.04**2) == pytest.approx(1, abs=1e-3)


def test_the_plans_spline_is_the_layers() -> None:
    """The spline in NumPy gives the layer's values at the knots and between them, and undoes them."""
    values = np.stack([raw(seed) for seed in range(7)])
    law = plan.Spline(BINS, BOUND, 0.01, 0.01)
    x = np.array([-9, -BOUND, -1.5, 0.0, 1.5, BOUND, np.inf])
    y, logdet = couple_spline(law, x[:, None], values)
    for row, place in enumerate(x):
        expected, slope = moved(layer_with(Constant(np.repeat(values[row], 2))), np.array([place]))
        np.testing.assert_allclose([y[row, 0], logdet[row]], [expected[0], slope[0]], atol=1e-12)
    np.testing.assert_allclose(decouple_spline(law, y, values)[:, 0], x, atol=1e-12)


def test_a_subclass_with_another_law_says_its_own_logdet() -> None:
    """A subclass that overrides the logdet is asked for it, and lowers as a call of itself."""

    class Own(RationalQuadraticSplineCoupling):
        def compute_jacobian_determinant(self, x: Any) -> Any:
            return 7 + super().compute_jacobian_determinant(x)

    network = Constant(np.zeros(2 * PARAMETERS))
    layer = Own(**AT, compute_coupling_parameters=network, mask=Mask(**AT, mask=[1, 0]), bins=BINS)
    assert ops.convert_to_numpy(layer(np.zeros((2, 2), "float32"))[1]).tolist() == pytest.approx([7, 7])
    (step,) = layer.lower((2,))
    assert isinstance(step, plan.Opaque)


@pytest.mark.parametrize("method", ["_places", "_values_and_logdet", "_couple_with_logdet_"])
def test_a_subclass_with_another_curve_is_called(method: str) -> None:
    """Whatever a subclass changes about the curve, the plan calls it."""
    own = getattr(RationalQuadraticSplineCoupling, method)
    changed = type("Changed", (RationalQuadraticSplineCoupling,), {method: partialmethod(own)})
    layer = changed(**AT, compute_coupling_parameters=dense(2, 46, "float32"), mask=Mask(**AT, mask=[1, 0]))
    layer.build((None, 2))
    (step,) = layer.lower((2,))
    assert isinstance(step, plan.Opaque)


@pytest.mark.parametrize(("policy", "limit"), [("mixed_float16", 4e-3), ("mixed_bfloat16", 3e-2)])
def test_half_precision_has_the_curve_of_single(policy: str, limit: float) -> None:
    """Under a mixed policy only parameters, inputs and outputs are rounded, not the knots: the logdet stays near."""
    x = np.random.default_rng(0).standard_normal((64, 2)).astype("float32")
    values = raw().astype("float16").astype("float64")
    single, half = (layer_with(Constant(np.repeat(values, 2)), dtype=dtype) for dtype in ("float32", policy))
    assert (
        np.abs(ops.convert_to_numpy(half(x)[1]).astype("float32") - ops.convert_to_numpy(single(x)[1])).max()
        < 20 * limit
    )
    y = half(x)[0]
    assert np.abs(ops.convert_to_numpy(ops.cast(half.invert(y), "float32")) - x).max() < 20 * limit


def test_its_config_holds_bins_and_bound() -> None:
    """What was given is what is kept."""
    config = layer_with(dense(2, 2 * PARAMETERS, "float64")).get_config()
    assert (config["bins"], config["bound"]) == (BINS, BOUND)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"bins": 1}, r"bins must be between 2 and 100. Received: bins=1"),
        ({"bins": 101}, r"bins must be between 2 and 100. Received: bins=101"),
        ({"bound": 0}, r"bound must be finite and above 0. Received: bound=0"),
        ({"bound": float("inf")}, r"bound must be finite and above 0"),
    ],
)
def test_what_makes_no_spline_is_refused(given: dict[str, Any], message: str) -> None:
    """There are at least two bins, each with its share, on a finite interval."""
    with pytest.raises(ValueError, match=message):
        layer_with(Constant(raw()), **given)


def test_the_number_of_bins_is_an_integer() -> None:
    """Nothing is rounded."""
    with pytest.raises(TypeError, match=r"bins must hold integers only. Received: bins=\[2.5\]"):
        layer_with(Constant(raw()), bins=2.5)


@pytest.mark.parametrize("outputs", [1, PARAMETERS, 2 * PARAMETERS + 2])
def test_a_network_of_another_width_is_refused(outputs: int) -> None:
    """The last axis must hold 3·bins − 1 parameters for each entry; the error says how many that is."""
    with pytest.raises(ValueError, match=rf"must output tensors of the shape \['batch', {2 * PARAMETERS}\]"):
        layer_with(dense(2, outputs, "float64")).build((None, 2))
