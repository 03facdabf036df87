"""Flow models: densities, training on pairs, factors, files."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops
from scipy.stats import multivariate_normal

from gyoza.data import FactorPairs
from gyoza.inference import compile_flow
from gyoza.inference.plan import Opaque
from gyoza.modelling.flow_layers import (
    ActivationNormalization,
    AffineCoupling,
    DisentanglingFlowModel,
    Flatten,
    FlowModel,
    HeavisidePermutation,
    InvertibleLinear,
    Reflection,
    ShufflePermutation,
)
from gyoza.modelling.losses import SupervisedFactorLoss
from gyoza.modelling.masks import HeavisideMask
from gyoza.modelling.reference import LayeredFlow
from tests.modelling.layers import dense, flow, randomize

SIZES = {"residual": 2, "shape": 1, "color": 1}


def affine(size: int, dtype: str = "float32") -> AffineCoupling:
    """Make an affine coupling on [size]."""
    return AffineCoupling(
        shape=[size],
        axes=[1],
        compute_coupling_parameters=dense(size, 2 * size, dtype),
        mask=HeavisideMask(axes=[1], shape=[size]),
        dtype=dtype,
    )


def disentangling(factors: Any = SIZES, dropout: bool = True) -> DisentanglingFlowModel:
    """Make a small flow on [4] for training on pairs."""
    keras.utils.set_random_seed(1)
    coupling = affine(4)
    if not dropout:
        coupling._compute_coupling_parameters_.layers[1].rate = 0.0
    layers = [ActivationNormalization([4], [1]), Reflection([4], [1], reflection_count=2, seed=0), coupling]
    return DisentanglingFlowModel([*layers, HeavisidePermutation([4], [1])], factors=factors)


def pairs(count: int = 96) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
    """Pairs of latents that share their second half, and how similar they are along each factor."""
    draw = np.random.default_rng(0)
    a, b = (draw.normal(3, 2, (count, 4)).astype("float32") for _ in range(2))
    b[:, 2:] = a[:, 2:]
    return (a, b), np.tile(np.array([[0, 0.9, 0.9]], "float32"), (count, 1))


def pair_losses(model: DisentanglingFlowModel, x: tuple[np.ndarray, np.ndarray], y: np.ndarray) -> np.ndarray:
    """The loss of each pair by hand, from two separate calls."""
    (a, logdet_a), (b, logdet_b) = ([ops.convert_to_numpy(part) for part in model(half)] for half in x)
    prediction = np.concatenate([a, b, logdet_a[:, None], logdet_b[:, None]], axis=1)
    loss = SupervisedFactorLoss(list(SIZES.values()), reduction="none")
    return np.asarray(ops.convert_to_numpy(loss(y, prediction)))


def test_a_linear_flow_is_a_multivariate_normal() -> None:
    """The density of a flow of linear layers is scipy's, with mean and covariance from its layers."""
    model = FlowModel(
        [
            ActivationNormalization([4], [1], dtype="float64"),
            Reflection([4], [1], reflection_count=3, dtype="float64"),
            ShufflePermutation([4], [1], seed=0, dtype="float64"),
            ActivationNormalization([4], [1], dtype="float64"),
        ]
    )
    model.build((None, 4))
    randomize(model, 0)
    offset = ops.convert_to_numpy(model.invert(np.zeros((1, 4))))[0]
    matrix = ops.convert_to_numpy(model.invert(np.eye(4))) - offset
    x = np.random.default_rng(1).standard_normal((6, 4))
    expected = multivariate_normal(offset, matrix.T @ matrix).logpdf(x)
    np.testing.assert_allclose(model.log_prob(x), expected, rtol=1e-10)


def test_a_density_in_one_dimension_integrates_to_one() -> None:
    """∫ exp(log_prob) = 1 on a line."""
    model = FlowModel([ActivationNormalization([1], [1], dtype="float64")])
    model.build((None, 1))
    randomize(model, 0)
    grid = np.linspace(-15, 15, 3001)
    assert float(np.exp(model.log_prob(grid[:, None])).sum() * 0.01) == pytest.approx(1, abs=1e-3)


def test_a_density_in_the_plane_integrates_to_one() -> None:
    """∫ exp(log_prob) = 1 in the plane, for a flow that is not linear."""
    layers = [affine(2, "float64"), HeavisidePermutation([2], [1], dtype="float64"), affine(2, "float64")]
    model = FlowModel(layers)
    model.build((None, 2))
    randomize(model, 0)
    line = np.linspace(-25, 25, 501)
    grid = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
    assert float(np.exp(model.log_prob(grid)).sum() * 0.01) == pytest.approx(1, abs=1e-3)


def linear_flow(dtype: str = "float64") -> FlowModel:
    """A flow of an actnorm and an invertible linear layer on [3], built."""
    model = FlowModel([ActivationNormalization([3], [1], dtype=dtype), InvertibleLinear([3], [1], seed=0, dtype=dtype)])
    model.build((None, 3))
    return model


def test_samples_are_codes_of_a_frozen_stream_mapped_back() -> None:
    """Draws are RandomState's, the first ones the same however many there are; without a seed they are others."""
    model = linear_flow()
    randomize(model, 0)
    draws = np.random.RandomState(7).standard_normal((5, 3))
    np.testing.assert_allclose(model(model.sample(5, seed=7))[0], draws, atol=1e-12)
    np.testing.assert_array_equal(model.sample(2, seed=7), model.sample(5, seed=7)[:2])
    assert np.abs(ops.convert_to_numpy(model.sample(2)) - ops.convert_to_numpy(model.sample(2))).max() > 1e-6


def test_samples_have_the_shape_of_latents_and_the_models_density() -> None:
    """Of image-shaped latents too; their mean and covariance are those of the flow's normal distribution."""
    image = FlowModel([Flatten([2, 3], [1, 2])])
    image.build((None, 2, 3))
    assert image.sample(4, seed=0).shape == (4, 2, 3)
    model = linear_flow()
    randomize(model, 0)
    offset = ops.convert_to_numpy(model.invert(np.zeros((1, 3))))[0]
    matrix = ops.convert_to_numpy(model.invert(np.eye(3))) - offset
    drawn = ops.convert_to_numpy(model.sample(200_000, seed=0))
    np.testing.assert_allclose(drawn.mean(axis=0), offset, atol=0.03)
    np.testing.assert_allclose(np.cov(drawn, rowvar=False), matrix.T @ matrix, atol=0.05)


def test_an_unbuilt_flow_has_no_samples() -> None:
    """Without a shape there is nothing to draw; the error says how to build the flow."""
    with pytest.raises(ValueError, match=r"must be built for inputs of known size before this.*Received: shapes=\[\]"):
        FlowModel([ActivationNormalization([2], [1])]).sample(1)


def test_samples_are_counted_in_whole_numbers_from_one() -> None:
    """The count is an integer of at least 1."""
    with pytest.raises(ValueError, match=r"count must be at least 1. Received: count=0"):
        linear_flow().sample(0)
    with pytest.raises(TypeError, match=r"count must hold integers only. Received: count=\[2.5\]"):
        linear_flow().sample(2.5)  # type: ignore[arg-type]


def normal_rows(count: int = 512) -> np.ndarray:
    """Rows [count, 3] of a normal distribution with correlated entries away from 0."""
    draw = np.random.default_rng(0).standard_normal((count, 3))
    return np.asarray(draw @ np.array([[2.0, 0.5, 0.0], [0.0, 1.0, -1.0], [0.0, 0.0, 0.3]]) + [1.0, -3.0, 5.0])


@pytest.mark.parametrize("jit", [False, True])
def test_without_targets_a_flow_trains_by_maximum_likelihood(jit: bool) -> None:
    """Fit(x) of a flow compiled without a loss comes near the likelihood of the best normal distribution."""
    x = normal_rows()
    best = multivariate_normal(x.mean(axis=0), np.cov(x, rowvar=False)).logpdf(x).mean()
    model = linear_flow("float32")
    model.compile(keras.optimizers.Adam(0.02), jit_compile=jit)
    history = model.fit(x, epochs=40, batch_size=64, verbose=0, validation_data=(x,)).history
    assert history["loss"][-1] < history["loss"][0]
    assert history["val_loss"][-1] == pytest.approx(-best, abs=0.05)


def test_the_likelihoods_epoch_loss_is_the_mean_over_all_rows() -> None:
    """Evaluate gives the mean of −log_prob, the smaller last batch and sample weights included."""
    x, model = normal_rows(80), linear_flow("float32")
    model.compile("sgd", jit_compile=False)
    expected = -ops.convert_to_numpy(model.log_prob(x))
    assert model.evaluate(x, batch_size=32, verbose=0) == pytest.approx(expected.mean(), rel=1e-5)
    weights = np.arange(80) / 40
    found = model.evaluate(keras_rows(x, weights), verbose=0)
    assert found == pytest.approx((expected * weights).mean(), rel=1e-5)


def keras_rows(x: np.ndarray, weights: np.ndarray) -> tf.data.Dataset:
    """Rows and their weights in batches, without targets."""
    return tf.data.Dataset.from_tensor_slices((x, weights)).batch(32).map(lambda rows, weight: (rows, None, weight))


def test_weights_without_targets_are_refused_where_keras_drops_them() -> None:
    """Beside an array Keras drops them; the error says how to give them."""
    x, model = normal_rows(8), linear_flow("float32")
    model.compile("sgd")
    for use in (model.fit, model.evaluate):
        with pytest.raises(
            ValueError, match=r"give batches \(x, None, sample_weight\).*Received: sample_weight without y"
        ):
            use(x, sample_weight=np.ones(8), verbose=0)


def test_likelihood_under_a_strategy_is_scaled_as_every_loss_of_keras() -> None:
    """The loss is reduced by Keras' own rules: replicas share a batch, and their losses add up to its mean."""
    x, model = normal_rows(8), linear_flow("float32")
    model.compile("sgd")
    codes, logdet = model(x)
    whole = float(model.compute_loss(x, None, (codes, logdet)))
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    with strategy.scope():
        assert float(model.compute_loss(x, None, (codes, logdet))) == pytest.approx(whole)
    assert whole == pytest.approx(-float(ops.mean(model.log_prob(x))), rel=1e-5)


def test_latents_of_unknown_size_train_by_likelihood() -> None:
    """Images of any size have a likelihood, also while a function is traced without knowing the size."""
    model = FlowModel([InvertibleLinear([3], [3], seed=0)])
    model.compile("sgd", jit_compile=False)
    x = np.random.default_rng(0).standard_normal((8, 4, 4, 3)).astype("float32")
    data = tf.data.Dataset.from_generator(
        lambda: iter([x]), output_signature=tf.TensorSpec((None, None, None, 3), "float32")
    )
    assert model.evaluate(data, steps=1, verbose=0) == pytest.approx(-float(ops.mean(model.log_prob(x))), rel=1e-5)


def test_a_loss_needs_targets() -> None:
    """Latents alone, given to a flow that was compiled with a loss, are refused with both ways out."""
    model, (x, _) = disentangling(), pairs(4)
    model.compile("sgd", SupervisedFactorLoss(list(SIZES.values())))
    with pytest.raises(ValueError, match=r"needs targets: fit\(x, y\).*Received: x=\(None, 4\), y=None"):
        model.fit(x[0], verbose=0)


def test_loss_and_pairs_are_for_the_models_factors() -> None:
    """Other sizes in the loss, and other names or another order in the pairs, are refused: the blocks' names would lie."""
    model, (x, y) = disentangling(), pairs()
    model.compile("sgd", SupervisedFactorLoss([1, 2, 1]))
    with pytest.raises(ValueError, match=r"Loss\(\[2, 1, 1\]\). Received: dimensions_per_factor=\[1, 2, 1\]"):
        model.fit(x, y, verbose=0)
    model.compile("sgd", SupervisedFactorLoss([2, 1, 1]))
    labels = {"color": x[0][:, 0].astype("float64"), "shape": x[0][:, 1].astype("float64")}
    drawn = FactorPairs(x[0], labels, batch_size=16, seed=0)
    with pytest.raises(ValueError, match=r"\['residual', 'shape', 'color'\], in this order.*Received: factors="):
        model.fit(drawn, verbose=0)
    model.fit(FactorPairs(x[0], dict(reversed(labels.items())), batch_size=16, seed=0), verbose=0, shuffle=False)


def test_losses_that_layers_add_count_too() -> None:
    """A regulariser inside a coupling's network adds to the negative log-likelihood."""
    at: dict[str, Any] = {"shape": [4], "axes": [1]}
    network = keras.layers.Dense(8, kernel_regularizer=keras.regularizers.L2(0.5))
    model = FlowModel([AffineCoupling(**at, compute_coupling_parameters=network, mask=HeavisideMask(**at))])
    x = np.random.default_rng(0).standard_normal((8, 4)).astype("float32")
    model.build((None, 4))
    model.compile("sgd")
    penalty = 0.5 * float(ops.sum(network.kernel**2))
    expected = -ops.convert_to_numpy(model.log_prob(x)).mean() + penalty
    assert model.evaluate(x, verbose=0) == pytest.approx(expected, rel=1e-5)


def test_targets_without_a_loss_are_refused() -> None:
    """Neither targets nor pairs have a meaning for maximum likelihood; the error says what to compile."""
    model = linear_flow("float32")
    model.compile("sgd")
    x = np.zeros((4, 3), "float32")
    with pytest.raises(ValueError, match=r"compiled without a loss.*Received: x=\(None, 3\), y=\(None,"):
        model.fit(x, x, verbose=0)
    pairs_model, (halves, _) = disentangling(), pairs(4)
    pairs_model.compile("sgd")
    with pytest.raises(ValueError, match=r"For pairs and y, compile\(loss=SupervisedFactorLoss"):
        pairs_model.fit(halves, verbose=0)


def test_a_disentangling_flow_trains_on_single_batches_too() -> None:
    """Maximum likelihood is there for it as for every flow."""
    model, (x, _) = disentangling(dropout=False), pairs()
    model.compile(keras.optimizers.Adam(0.01), jit_compile=False)
    history = model.fit(x[0], epochs=4, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]


def test_the_dtype_is_the_first_layers() -> None:
    """A flow of float64 layers computes in float64 without being told; told otherwise, it does as told."""
    layer = ActivationNormalization([1], [1], dtype="float64")
    assert FlowModel([layer]).compute_dtype == "float64"
    assert FlowModel([layer], dtype="float32").compute_dtype == "float32"
    assert FlowModel().compute_dtype == keras.config.floatx()
    added, told = FlowModel(), FlowModel(dtype="float32")
    for model in (added, told):
        model.add(layer)
    assert (added.compute_dtype, told.compute_dtype) == ("float64", "float32")


class Doubling(FlowModel):
    """A reader's flow that does more than to run its layers."""

    def call(self, inputs: Any, training: bool | None = None) -> tuple[Any, Any]:
        """Double the latents first."""
        codes, logdet = super().call(2 * ops.convert_to_tensor(inputs), training=training)
        return codes, logdet + float(np.log(2)) * inputs.shape[1]

    def invert(self, outputs: Any) -> Any:
        """Halve what the layers give back."""
        return super().invert(outputs) / 2


def test_a_subclass_with_its_own_call_is_compiled_as_it_is() -> None:
    """A plan runs what the model does, not only its layers; the reference does so too."""
    model = Doubling([Reflection([3], [1], reflection_count=2, seed=0, dtype="float64")])
    model.build((None, 3))
    compiled, reference = compile_flow(model), LayeredFlow(model)
    x = np.random.default_rng(0).standard_normal((2, 3))
    codes, logdet = (ops.convert_to_numpy(part) for part in model(x))
    for found in (compiled, reference):
        np.testing.assert_allclose(found.encode(x)[0], codes, atol=1e-12)
        np.testing.assert_allclose(found.encode(x)[1], logdet, atol=1e-12)
        np.testing.assert_allclose(found.invert(codes), x, atol=1e-12)
    np.testing.assert_allclose(reference.autodiff_logdet(x), logdet, atol=1e-9)


def test_calls_for_pairs_are_no_other_flow() -> None:
    """A flow for pairs lowers to its layers' steps; a subclass of it with an invert of its own to a call of itself."""

    class Own(DisentanglingFlowModel):
        def invert(self, outputs: Any) -> Any:
            return super().invert(outputs)

    for kind, opaque in ((DisentanglingFlowModel, False), (Own, True)):
        model = kind([HeavisidePermutation([4], [1])])
        model.build((None, 4))
        (step,) = model.lower().steps
        assert isinstance(step, Opaque) is opaque


def test_a_flow_may_be_a_layer_of_a_flow() -> None:
    """A nested flow lowers to its own steps, between those of its neighbours."""
    inner = FlowModel([affine(4, "float64"), Reflection([4], [1], reflection_count=1, seed=1, dtype="float64")])
    model = FlowModel([HeavisidePermutation([4], [1], dtype="float64"), inner])
    model.build((None, 4))
    x = np.random.default_rng(0).standard_normal((2, 4))
    compiled = compile_flow(model)
    assert len(compiled.plan.steps) == 3
    np.testing.assert_allclose(compiled.encode(x)[0], model(x)[0], atol=1e-12)
    np.testing.assert_allclose(compiled.invert(compiled.encode(x)[0]), x, atol=1e-12)


def test_what_could_be_saved_but_not_loaded_is_refused() -> None:
    """Two couplings with one network, or one layer twice, are refused when the flow is built, by name."""
    first, second = affine(4), affine(4)
    second._compute_coupling_parameters_ = first._compute_coupling_parameters_
    for layers in ([first, second], [first, first]):
        with pytest.raises(ValueError, match=rf"an object of its own, .* Received: .* in {first.name} and in"):
            FlowModel(layers).build((None, 4))
    with pytest.raises(ValueError, match=rf"Received: .* in {first.name} and in {second.name}"):
        FlowModel([FlowModel([first]), FlowModel([second])]).build((None, 4))


def test_half_precision_has_no_plan() -> None:
    """A flow that computes in half precision trains and runs, but is refused where a plan is asked for."""
    model = FlowModel([ActivationNormalization([2], [1], dtype="mixed_float16")])
    model.build((None, 2))
    with pytest.raises(ValueError, match=r"A plan computes in one of .* Received: compute_dtype=float16"):
        model.lower()


def test_layers_of_another_dtype_are_called_as_they_are() -> None:
    """A float32 layer in a float64 flow rounds as it does, also in the plan."""
    model = FlowModel([affine(4, "float32")], dtype="float64")
    model.build((None, 4))
    x = np.random.default_rng(0).standard_normal((2, 4))
    (step,) = model.lower().steps
    assert isinstance(step, Opaque)
    np.testing.assert_array_equal(step.encode(x)[0], ops.convert_to_numpy(model(x)[0]))


def test_layers_are_added_until_the_model_is_built() -> None:
    """Add appends to _flow_layers_; afterwards it is refused."""
    model, layer = FlowModel(), ActivationNormalization([2], [1])
    model.add(layer)
    assert list(model._flow_layers_) == [layer]
    model.build((None, 2))
    with pytest.raises(ValueError, match=r"before the model is built. Received: flow_layer="):
        model.add(ActivationNormalization([2], [1]))


def test_an_empty_flow_is_the_identity() -> None:
    """Without layers, codes are the latents and the logdet is 0."""
    x = np.array([[1.0, np.nan]])
    y, logdet = FlowModel(dtype="float64")(x)
    np.testing.assert_array_equal(y, x)
    assert ops.convert_to_numpy(logdet).tolist() == [0]


def test_a_flow_is_lowered_when_its_shapes_are_known() -> None:
    """An unbuilt flow, or one built for any size, can't be lowered."""
    with pytest.raises(ValueError, match="must be built for inputs of known size"):
        FlowModel([ActivationNormalization([2], [1])]).lower()
    model = FlowModel([ActivationNormalization([2], [2])])
    model.build((None, None, 2))
    with pytest.raises(ValueError, match="must be built for inputs of known size"):
        model.lower()


@keras.saving.register_keras_serializable(package="tests")
class Flattening(keras.layers.Layer):
    """A layer that is no FlowLayer and changes the shape, as a reader of FlowModel would write it."""

    def call(self, inputs: Any) -> tuple[Any, Any]:
        """Flatten."""
        return ops.reshape(inputs, (-1, 6)), ops.zeros_like(inputs[:, 0, 0])

    def invert(self, outputs: Any) -> Any:
        """Put it back."""
        return ops.reshape(outputs, (-1, 2, 3))


def test_a_layer_that_flattens_may_take_part(tmp_path: Path) -> None:
    """Any layer with call and invert will do; latents and codes may have different shapes."""
    model = FlowModel([ActivationNormalization([2, 3], [1, 2]), Flattening(), *flow("float32")._flow_layers_])
    x = np.random.default_rng(0).standard_normal((3, 2, 3)).astype("float32")
    codes, logdet = model(x)
    assert codes.shape == (3, 6)
    np.testing.assert_allclose(model.invert(codes), x, atol=1e-5)
    plan = model.lower()
    assert (plan.latent_shape, plan.code_shape) == ((2, 3), (6,))
    model.save(tmp_path / "flow.keras")
    loaded = keras.saving.load_model(tmp_path / "flow.keras")
    for found, expected in zip(loaded(x), (codes, logdet), strict=True):
        np.testing.assert_array_equal(found, expected)


class Flattened(FlowModel):
    """A reader's flow that flattens its codes."""

    def call(self, inputs: Any, training: bool | None = None) -> tuple[Any, Any]:
        """Flatten behind the layers."""
        codes, logdet = super().call(inputs, training=training)
        return ops.reshape(codes, (-1, 6)), logdet

    def invert(self, outputs: Any) -> Any:
        """Put the codes into their shape first."""
        return super().invert(ops.reshape(outputs, (-1, 2, 3)))


def test_codes_of_a_subclass_have_the_shape_that_it_gives_them() -> None:
    """A plan learns the shape of the codes from a ``call`` that is not the layers'."""
    model = Flattened([ActivationNormalization([2, 3], [1, 2])])
    model.build((None, 2, 3))
    compiled, x = compile_flow(model), np.ones((2, 2, 3), "float32")
    assert (compiled.latent_shape, compiled.code_shape) == ((2, 3), (6,))
    np.testing.assert_array_equal(compiled.invert(compiled.encode(x)[0]), x)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_training_in_mixed_precision_stays_finite(policy: str) -> None:
    """Fit under a mixed policy lowers the loss, and losses and weights are finite."""
    draw = np.random.default_rng(0)
    x = tuple(draw.normal(3, 2, (96, 6)).astype("float32") for _ in range(2))
    y = np.zeros((96, 2), "float32")
    keras.utils.set_random_seed(0)
    model = DisentanglingFlowModel(flow(policy)._flow_layers_, factors={"residual": 4, "a": 2})
    model.compile(keras.optimizers.Adam(0.01), SupervisedFactorLoss([4, 2]), jit_compile=False)
    losses = model.fit(x, y, epochs=8, batch_size=32, verbose=0).history["loss"]
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]
    assert all(np.isfinite(weights).all() for weights in model.get_weights())


@pytest.mark.parametrize("jit", [False, True])
def test_training_on_pairs_lowers_the_loss(jit: bool) -> None:
    """Fit takes pairs as the first call ever, initialises from both halves, and learns."""
    model, (x, y) = disentangling(), pairs()
    model.compile(keras.optimizers.Adam(0.01), SupervisedFactorLoss(list(SIZES.values())), jit_compile=jit)
    history = model.fit(x, y, epochs=8, batch_size=32, verbose=0, validation_data=(x, y)).history
    assert history["loss"][-1] < history["loss"][0]
    assert history["val_loss"][-1] < history["val_loss"][0]
    assert np.isfinite(history["loss"]).all()


def test_the_first_step_initialises_from_both_halves() -> None:
    """After one step without learning, the location is the mean over a and b together."""
    model, (x, y) = disentangling(), pairs()
    x[1][:] += 5
    model.compile(keras.optimizers.SGD(0.0), SupervisedFactorLoss(list(SIZES.values())), jit_compile=False)
    model.train_on_batch(x, y)
    np.testing.assert_allclose(model.get_weights()[0], np.concatenate(x).mean(axis=0), rtol=1e-5)


def test_a_pair_gives_what_two_calls_give() -> None:
    """Called on a pair: the codes of a, of b, and both logdets, side by side; a list of two is a pair too."""
    model, (x, _) = disentangling(), pairs(5)
    (a, logdet_a), (b, logdet_b) = model(x[0]), model(x[1])
    expected = np.concatenate([a, b, logdet_a[:, None], logdet_b[:, None]], axis=1)
    np.testing.assert_allclose(model(x), expected, atol=1e-6)
    np.testing.assert_allclose(model(list(x)), expected, atol=1e-6)
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, atol=1e-5)


def test_the_epoch_loss_is_the_mean_over_all_pairs() -> None:
    """Fit and evaluate report the mean over pairs, the last, smaller batch included."""
    model, (x, y) = disentangling(dropout=False), pairs(80)
    model(np.concatenate(x), training=True)
    model.compile(keras.optimizers.SGD(0.0), SupervisedFactorLoss(list(SIZES.values())), jit_compile=False)
    expected = pair_losses(model, x, y).mean()
    history = model.fit(x, y, batch_size=32, verbose=0, shuffle=False).history
    assert history["loss"][0] == pytest.approx(expected, rel=1e-4)
    assert model.evaluate(x, y, batch_size=32, verbose=0) == pytest.approx(expected, rel=1e-4)


def test_metrics_and_sample_weights_count() -> None:
    """Metrics get y_true and y_pred; weights weigh the pairs."""
    model, (x, y) = disentangling(dropout=False), pairs(8)
    weights = np.arange(8, dtype="float32")

    def width(y_true: Any, y_pred: Any) -> Any:
        return ops.cast(y_pred.shape[-1], "float32") + 0 * y_true[:, 0]

    model.compile("sgd", SupervisedFactorLoss(list(SIZES.values())), metrics=[width], jit_compile=False)
    found = model.evaluate(x, y, sample_weight=weights, verbose=0, return_dict=True)
    assert found["width"] == 10
    assert found["loss"] == pytest.approx((pair_losses(model, x, y) * weights).mean(), rel=1e-4)


def test_training_is_passed_to_the_networks() -> None:
    """Dropout in a coupling's network drops in training and not otherwise."""
    model, (x, _) = disentangling(), pairs(64)
    model(x, training=True)
    calm, first, second = (ops.convert_to_numpy(model(x, training=training)) for training in (False, True, True))
    np.testing.assert_array_equal(calm, model(x))
    assert np.abs(first - calm).max() > 1e-3
    assert np.abs(first - second).max() > 1e-3


def test_a_compiled_trained_model_is_saved_whole(tmp_path: Path) -> None:
    """The .keras file of a model that only ever saw pairs brings back weights, loss, optimizer and factors."""
    model, (x, y) = disentangling(), pairs()
    model.compile("adam", SupervisedFactorLoss(list(SIZES.values())), jit_compile=False)
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "flow.keras")
    loaded = keras.saving.load_model(tmp_path / "flow.keras")
    assert loaded.factors == SIZES
    assert list(loaded.factors) == list(SIZES)
    assert loaded.evaluate(x, y, verbose=0) == model.evaluate(x, y, verbose=0)
    assert loaded.optimizer.iterations == model.optimizer.iterations


def test_train_step_is_usable_by_itself() -> None:
    """One step on a pair, inside a function of the reader's own."""
    model, (x, y) = disentangling(), pairs(16)
    model.compile("sgd", SupervisedFactorLoss(list(SIZES.values())))
    model(x)
    logs = tf.function(model.train_step)((x, y))
    assert np.isfinite(float(logs["loss"]))


def test_codes_of_pairs_have_one_axis() -> None:
    """A flow whose codes are images must be flattened before it is trained on pairs."""
    model = DisentanglingFlowModel([ActivationNormalization([3], [1])])
    image = np.zeros((2, 3, 2), "float32")
    with pytest.raises(ValueError, match=r"shape \[batch, D\] for training on pairs; flatten first. Received: shape="):
        model((image, image))


def test_split_and_join_are_inverse() -> None:
    """Split names the parts of a code in order; join puts them together again, in any order."""
    model, codes = disentangling(), np.arange(8.0).reshape(2, 4)
    parts = model.split(codes)
    assert {name: np.asarray(part).tolist() for name, part in parts.items()} == {
        "residual": [[0, 1], [4, 5]],
        "shape": [[2], [6]],
        "color": [[3], [7]],
    }
    np.testing.assert_array_equal(model.join(dict(reversed(parts.items()))), codes)


def test_split_and_join_say_what_does_not_fit() -> None:
    """Missing, unknown and wrongly sized factors are named; without factors both say how to get them."""
    model = disentangling()
    parts = model.split(np.zeros((2, 4)))
    with pytest.raises(ValueError, match=r"missing=\['color'\], unknown=\['colour'\]"):
        model.join({"residual": parts["residual"], "shape": parts["shape"], "colour": parts["color"]})
    with pytest.raises(ValueError, match=r"'shape' must have the shape \[batch, 1\]. Received: shape="):
        model.join({**parts, "shape": parts["residual"]})
    with pytest.raises(ValueError, match=r"codes must have the shape \[batch, 4\]. Received: shape="):
        model.split(np.zeros((2, 5)))
    for use in (lambda: disentangling(None).split(parts), lambda: disentangling(None).join(parts)):
        with pytest.raises(ValueError, match=r"must be made with factors="):
            use()


def test_factors_may_be_left_out() -> None:
    """Without factors the property is None, and so it is in the config."""
    assert disentangling(None).factors is None
    assert disentangling(None).get_config()["factors"] is None
    assert disentangling(list(SIZES.items())).factors == SIZES


@pytest.mark.parametrize(
    ("factors", "message"),
    [
        ({"a.b": 4}, r"must match .* Received: name='a.b'"),
        ({"-a": 4}, r"must match"),
        ({"codes": 4}, r"none of \['codes', 'latents', 'log_likelihood', 'logdet'\]. Received: name='codes'"),
        ({"a": 0}, r"at least 1. Received: a=0"),
        ({}, r"at least one factor"),
        ([("a", 1), ("a", 3)], r"each name once. Received: factors=\['a', 'a'\]"),
    ],
)
def test_factors_that_make_no_sense_are_refused(factors: Any, message: str) -> None:
    """Names and sizes are checked when the model is made."""
    with pytest.raises(ValueError, match=message):
        disentangling(factors)


@pytest.mark.parametrize("factors", [{"residual": 3.0, "a": 1}, {"residual": 3, "a": True}])
def test_sizes_of_factors_are_integers(factors: Any) -> None:
    """Nothing is rounded, and True is no size."""
    with pytest.raises(TypeError, match=r"factors must hold integers only. Received: factors="):
        disentangling(factors)


def test_factors_add_up_to_the_code() -> None:
    """Their sum is checked when the size of the code is known."""
    with pytest.raises(ValueError, match=r"must add up to the code's 4. Received: factors="):
        disentangling({"residual": 3}).build((None, 4))
