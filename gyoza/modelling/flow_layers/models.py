"""Models made of flow layers."""

import warnings
from collections.abc import Mapping, Sequence
from copy import deepcopy
from itertools import pairwise
from math import log, pi
from typing import Any

import keras
import numpy as np
from keras import ops

from gyoza.inference.plan import Plan, Step
from gyoza.modelling.axes import as_floats, as_integers, zeros_per_row
from gyoza.modelling.backend import assigns_in_traces
from gyoza.modelling.flow_layers.base import accepts_training, draw_seed
from gyoza.modelling.flow_layers.lowering import inherits, opaque
from gyoza.modelling.flow_layers.members import check_distinct, leaves, waits_for_data
from gyoza.modelling.flow_layers.origin import origin

__all__ = ["DIRECTIONS", "PLAN_DTYPES", "FlowModel", "GivenLosses", "log_likelihood", "shapes_of"]

DIRECTIONS = ("call", "invert")
PLAN_DTYPES = ("float32", "float64")


@keras.saving.register_keras_serializable(package="gyoza")
class FlowModel(keras.Model):
    """A normalizing flow: flow layers in a row.

    Compiled without a loss, it trains by maximum likelihood: ``compile("adam")`` and ``fit(x)``, without targets.

    Args:
        flow_layers: Layers, mostly ``FlowLayer``s. Any Keras layer will do whose ``call`` gives outputs and logdet
            [batch], and which has an ``invert``.
        **kwargs: What every Keras model takes. ``dtype`` defaults to the first layer's, given here or added.

    Input shape:
        [batch, …] as the first layer takes it.

    Output shape:
        [batch, …] as the last layer gives it, and [batch] for the logdet.

    Raises:
        ValueError: A layer's input does not fit it, or a layer or the network of a coupling occurs twice.

    References:
        Dinh, L., Sohl-Dickstein, J. & Bengio, S. (2016) "Density estimation using Real NVP" arXiv:1605.08803

    Example:
        >>> import numpy as np
        >>> from gyoza.modelling.flow_layers import ActivationNormalization, FlowModel
        >>> x = np.random.default_rng(0).normal(5, 2, (512, 1))
        >>> flow = FlowModel([ActivationNormalization(shape=[1], axes=[1])])
        >>> flow.compile("sgd")  # no loss: maximum likelihood
        >>> history = flow.fit(x, verbose=0)
        >>> tuple(flow.log_prob(x).shape), tuple(flow.sample(3, seed=0).shape)
        ((512,), (3, 1))
    """

    def __init__(self, flow_layers: Sequence[Any] = (), **kwargs: Any) -> None:
        """Keep the layers."""
        takes_first_dtype = kwargs.get("dtype") is None
        if flow_layers and takes_first_dtype:
            kwargs = {**kwargs, "dtype": flow_layers[0].dtype_policy}
        super().__init__(**kwargs)
        self._takes_first_dtype_ = takes_first_dtype
        self._flow_layers_ = list(flow_layers)
        self._layer_shapes_: list[tuple[int | None, ...]] = []

    def add(self, flow_layer: Any) -> None:
        """Append a layer.

        Args:
            flow_layer: As in the constructor.

        Raises:
            ValueError: The model is built already.
        """
        if self.built:
            raise ValueError(f"Layers must be added before the model is built. Received: flow_layer={flow_layer}")
        if not self._flow_layers_ and self._takes_first_dtype_:
            self.dtype_policy = flow_layer.dtype_policy
        self._flow_layers_.append(flow_layer)

    def build(self, input_shape: Any) -> None:
        """Build all layers, each for the outputs of the one before.

        Args:
            input_shape: The input's shape, with the batch axis.

        Raises:
            ValueError: The input, or a layer's output, does not fit the next layer, or a layer or the network of a
                coupling occurs twice, which Keras could save but not load.
        """
        check_distinct(leaves(self))
        x = keras.KerasTensor((None, *input_shape[1:]), dtype=self.compute_dtype)
        shapes = [tuple(x.shape)]
        for layer in self._flow_layers_:
            x, _ = layer(x)
            shapes.append(tuple(x.shape))
        self._layer_shapes_ = [shape[1:] for shape in shapes]
        self.built = True

    def call(self, inputs: Any, training: bool | None = None) -> tuple[Any, Any]:
        """Map latents to codes.

        Args:
            inputs: An array or tensor [batch, …].
            training: Passed on to the layers that take it.

        Returns:
            The codes [batch, …] and log|det J| [batch], the sum over the layers.
        """
        x = as_floats(inputs, self.compute_dtype)
        logdet = zeros_per_row(x)
        for layer in self._flow_layers_:
            known = training is not None and accepts_training(layer)
            x, term = layer(x, training=training) if known else layer(x)
            logdet = logdet + as_floats(term, self.compute_dtype)
        return as_floats(x, self.compute_dtype), logdet

    def invert(self, outputs: Any) -> Any:
        """Map codes to latents: the layers' inverses in reverse order.

        Args:
            outputs: Codes, an array or tensor [batch, …].

        Returns:
            Latents [batch, …].
        """
        x = as_floats(outputs, self.compute_dtype)
        for layer in reversed(self._flow_layers_):
            x = layer.invert(x)
        return as_floats(x, self.compute_dtype)

    def log_prob(self, inputs: Any) -> Any:
        """Compute the log density of latents whose codes are distributed as N(0, I).

        Args:
            inputs: [batch, …].

        Returns:
            log N(T(z); 0, I) + log|det J|, [batch].
        """
        codes, logdet = self(inputs)
        return log_likelihood(codes, logdet)

    def sample(self, count: int, seed: int | None = None) -> Any:
        """Draw latents: codes from N(0, I), mapped back.

        Args:
            count: How many.
            seed: The codes are the first ``count`` · D draws of ``numpy.random.RandomState(seed).standard_normal``. By
                default a seed that ``keras.utils.set_random_seed`` governs.

        Returns:
            Latents [count, …].

        Raises:
            ValueError: ``count`` is below 1, or the model is not built, or was built for inputs of which a size was not
                known.
            TypeError: ``count`` is no integer.
        """
        (rows,) = as_integers([count], "count")
        if rows < 1:
            raise ValueError(f"count must be at least 1. Received: count={count}")
        random = np.random.RandomState(draw_seed() if seed is None else seed)
        draws = random.standard_normal((rows, *self._known_shapes()[-1]))
        return self.invert(draws)

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """Compute what ``fit`` minimises: the compiled loss, or without one the mean of −``log_prob`` over the batch.

        Args:
            x: The inputs.
            y: The targets; None for training by maximum likelihood.
            y_pred: What ``call`` made of the inputs.
            sample_weight: [batch], how much each row counts.
            training: Whether this is a step of training.

        Returns:
            The loss, a number.

        Raises:
            ValueError: The model was compiled without a loss, and there are targets, or pairs.
        """
        if self.loss is not None:
            if y is None:
                raise ValueError(
                    f"{self.name} was compiled with a loss, which needs targets: fit(x, y). To train by maximum likelihood, "
                    f"compile without a loss. Received: x={shapes_of(x)}, y=None"
                )
            return super().compute_loss(x, y, y_pred, sample_weight, training)
        if y is not None or not isinstance(y_pred, tuple):
            raise ValueError(
                f"{self.name} was compiled without a loss, so it trains by maximum likelihood: fit(x) with one batch of "
                "latents and no y. For pairs and y, compile(loss=SupervisedFactorLoss(…)). "
                f"Received: x={shapes_of(x)}, y={shapes_of(y)}"
            )
        losses = -log_likelihood(*(ops.cast(part, self.variable_dtype) for part in y_pred))
        total = GivenLosses(dtype=self.variable_dtype)(losses, losses, sample_weight)
        return total + sum(ops.cast(ops.sum(loss), total.dtype) for loss in self.losses)

    def fit(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Train as ``keras.Model.fit`` does, with the same arguments.

        Args:
            x: Latents, or what yields batches of them.
            y: The targets of the compiled loss; None for training by maximum likelihood.
            *args: See ``keras.Model.fit``.
            **kwargs: See ``keras.Model.fit``.

        Returns:
            The ``History`` of the training.

        Raises:
            ValueError: As for ``compute_loss``, or there are sample weights without targets, which Keras would drop.
        """
        self._check_weights(y, kwargs)
        return super().fit(x, y, *args, **kwargs)

    def evaluate(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Compute the loss and metrics as ``keras.Model.evaluate`` does, with the same arguments.

        Args:
            x: Latents, or what yields batches of them.
            y: The targets of the compiled loss; None for the mean of −``log_prob``.
            *args: See ``keras.Model.evaluate``.
            **kwargs: See ``keras.Model.evaluate``.

        Returns:
            The loss, or a list or dict of it and the metrics.

        Raises:
            ValueError: As for ``fit``.
        """
        self._check_weights(y, kwargs)
        return super().evaluate(x, y, *args, **kwargs)

    def make_train_function(self, force: bool = False) -> Any:
        """Prepare ``fit``; on a backend that can't initialise layers from data in compiled code, warn of those left."""
        left = [layer.name for layer in leaves(self) if waits_for_data(layer)]
        if left and not assigns_in_traces():
            warnings.warn(
                f"{self.name} has layers that compiled code of this backend can't initialise from data; call the flow "
                f"once on a batch with training=True before fit. Received: layers={left}",
                UserWarning,
                stacklevel=2,
            )
        return super().make_train_function(force)

    def lower(self) -> Plan:
        """Lower the built model to a plan for ``gyoza.inference``, with the weights as they are now.

        Returns:
            The plan.

        Raises:
            ValueError: The model is not built, was built for inputs of which a size was not known, or computes in half
                precision.
        """
        shapes = self._known_shapes()
        if self.compute_dtype not in PLAN_DTYPES:
            raise ValueError(
                f"A plan computes in one of {PLAN_DTYPES}; make {self.name} anew with such a dtype and set its weights. "
                f"Received: compute_dtype={self.compute_dtype}"
            )
        if not self._runs_its_layers_():
            codes, _ = self(ops.zeros((1, *shapes[0]), dtype=self.compute_dtype))
            shapes = [shapes[0], tuple(codes.shape[1:])]
        return Plan(self._lower_layers(shapes), shapes[0], shapes[-1], np.dtype(self.compute_dtype), origin(self))

    def get_config(self) -> dict[str, Any]:
        """Return what the constructor takes, ready for JSON."""
        layers = [keras.saving.serialize_keras_object(layer) for layer in self._flow_layers_]
        return {**super().get_config(), "flow_layers": layers}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None) -> "FlowModel":
        """Make a model from what ``get_config`` returned; the given dict stays as it is."""
        # Keras empties some of the dicts that it deserialises.
        parts = deepcopy(config["flow_layers"])
        layers = [keras.saving.deserialize_keras_object(part, custom_objects) for part in parts]
        return cls(**{**config, "flow_layers": layers})

    def _known_shapes(self) -> list[tuple[int, ...]]:
        """Return the shapes of latents, between the layers, and of codes, without the batch axis."""
        if not self._layer_shapes_ or any(None in shape for shape in self._layer_shapes_):
            raise ValueError(
                f"{self.name} must be built for inputs of known size before this; call it on a batch of latents, or "
                f"build([None, …]). Received: shapes={list(self._layer_shapes_)}"
            )
        return [tuple(size for size in shape if size is not None) for shape in self._layer_shapes_]

    def _check_weights(self, y: Any, given: Mapping[str, Any]) -> None:
        """Refuse sample weights that Keras would drop, as it does beside arrays without targets."""
        if y is None and given.get("sample_weight") is not None:
            raise ValueError(
                "sample_weight beside x alone would be dropped by Keras; give batches (x, None, sample_weight), for "
                "instance of a tf.data.Dataset. Received: sample_weight without y"
            )

    def _runs_its_layers_(self) -> bool:
        """Whether the model is its layers in a row, which a subclass with a ``call`` or ``invert`` of its own is not."""
        return inherits(self, FlowModel, DIRECTIONS)

    def _lower_layers(self, shapes: Sequence[tuple[int, ...]]) -> tuple[Step, ...]:
        if not self._runs_its_layers_():
            # A subclass that does more than to run the layers is known only as a whole.
            return (opaque(self, shapes[0], shapes[-1], self.compute_dtype),)
        ends = zip(self._flow_layers_, pairwise(shapes), strict=True)
        return tuple(step for layer, end in ends for step in self._lower_layer(layer, *end))

    def _lower_layer(self, layer: Any, input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> tuple[Step, ...]:
        # A layer that computes in another dtype rounds otherwise than the plan would.
        if not hasattr(layer, "lower") or layer.compute_dtype != self.compute_dtype:
            return (opaque(layer, input_shape, output_shape, self.compute_dtype),)
        steps: tuple[Step, ...] = layer.lower().steps if isinstance(layer, FlowModel) else layer.lower(input_shape)
        return steps


def log_likelihood(codes: Any, logdet: Any) -> Any:
    """Return log N(codes; 0, I) + logdet, [batch], from codes [batch, …] and logdet [batch]."""
    return logdet - 0.5 * ops.sum(codes * codes + log(2 * pi), axis=tuple(range(1, len(codes.shape))))


class GivenLosses(keras.losses.Loss):
    """Reduces losses [batch] that are computed already, as Keras reduces those of every loss."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the losses as they are."""
        return y_pred


def shapes_of(tensors: Any) -> Any:
    """Return the shapes of what Keras was given, for a message."""
    return keras.tree.map_structure(lambda tensor: None if tensor is None else tuple(tensor.shape), tensors)
