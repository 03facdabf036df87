"""Models made of flow layers."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from itertools import accumulate, pairwise
from math import log, pi, prod
from typing import Any

import keras
import numpy as np
from keras import ops

from gyoza.inference.plan import Plan, Step
from gyoza.modelling.axes import as_floats, zeros_per_row
from gyoza.modelling.flow_layers.base import accepts_training
from gyoza.modelling.flow_layers.factors import checked_factors
from gyoza.modelling.flow_layers.lowering import inherits, opaque

PLAN_DTYPES = ("float32", "float64")


@keras.saving.register_keras_serializable(package="gyoza")
class FlowModel(keras.Model):
    """A normalizing flow: flow layers in a row.

    Args:
        flow_layers: Layers, mostly ``FlowLayer``s. Any Keras layer will do whose ``call`` gives outputs and logdet
            [batch], and which has an ``invert``.
        **kwargs: What every Keras model takes. ``dtype`` defaults to the first layer's.

    Input shape:
        [batch, …] as the first layer takes it.

    Output shape:
        [batch, …] as the last layer gives it, and [batch] for the logdet.

    Raises:
        ValueError: A layer's input does not fit it.

    References:
        Dinh, L., Sohl-Dickstein, J. & Bengio, S. (2016) "Density estimation using Real NVP" arXiv:1605.08803
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
        check_distinct(self._flow_layers_)
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
            inputs: [batch, …].
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
            outputs: Codes [batch, …].

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
        squares = ops.sum(codes * codes, axis=tuple(range(1, len(codes.shape))))
        return logdet - 0.5 * (squares + prod(codes.shape[1:]) * log(2 * pi))

    def lower(self) -> Plan:
        """Lower the built model to a plan for ``gyoza.inference``, with the weights as they are now.

        Returns:
            The plan.

        Raises:
            ValueError: The model is not built, was built for inputs of which a size was not known, or computes in half
                precision.
        """
        if not self._layer_shapes_ or any(None in shape for shape in self._layer_shapes_):
            raise ValueError(
                f"{self.name} must be built for inputs of known size before it can be lowered; call it on a batch of "
                f"latents, or build([None, …]). Received: shapes={list(self._layer_shapes_)}"
            )
        if self.compute_dtype not in PLAN_DTYPES:
            raise ValueError(
                f"A plan computes in one of {PLAN_DTYPES}; make {self.name} anew with such a dtype and set its weights. "
                f"Received: compute_dtype={self.compute_dtype}"
            )
        shapes = [tuple(size for size in shape if size is not None) for shape in self._layer_shapes_]
        return Plan(self._lower_layers(shapes), shapes[0], shapes[-1], np.dtype(self.compute_dtype))

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

    def _lower_layers(self, shapes: Sequence[tuple[int, ...]]) -> tuple[Step, ...]:
        if not any(inherits(self, owner, ("call", "invert")) for owner in (FlowModel, DisentanglingFlowModel)):
            # A subclass that does more than to run the layers is known only as a whole.
            return (opaque(self, shapes[0], shapes[-1]),)
        ends = zip(self._flow_layers_, pairwise(shapes), strict=True)
        return tuple(step for layer, end in ends for step in self._lower_layer(layer, *end))

    def _lower_layer(self, layer: Any, input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> tuple[Step, ...]:
        # A layer that computes in another dtype rounds otherwise than the plan would.
        if not hasattr(layer, "lower") or layer.compute_dtype != self.compute_dtype:
            return (opaque(layer, input_shape, output_shape),)
        steps: tuple[Step, ...] = layer.lower().steps if isinstance(layer, FlowModel) else layer.lower(input_shape)
        return steps


@keras.saving.register_keras_serializable(package="gyoza")
class DisentanglingFlowModel(FlowModel):
    """A flow whose code is a concatenation of independent factors, trained on pairs that share some of them.

    ``call`` on a batch gives codes and logdet as for ``FlowModel``. ``fit``, ``evaluate`` and ``train_step`` take pairs:
    ``x`` is a tuple of two batches (z_a, z_b) and ``y`` [batch, factor-count] holds how similar the two of each pair
    are along each factor. The loss, such as ``gyoza.modelling.losses.SupervisedFactorLoss``, gets ``y`` and what
    ``call`` returns for a pair. Metrics, sample weights and validation work as for every Keras model.

    Args:
        flow_layers: See ``FlowModel``. The last one must give codes [batch, D]; flatten before.
        factors: Optional names and sizes of the factors, in the order in which they stand in the code, the residual
            factor first. Names match ``[A-Za-z0-9][A-Za-z0-9_-]*`` and are none of latents, codes, logdet and
            log_likelihood; sizes add up to D. A list of pairs will do as well.
        **kwargs: What every Keras model takes.

    Attributes:
        factors: Names to sizes in order, or None.

    Input shape:
        [batch, …], or two of these for a pair.

    Output shape:
        [batch, D], and [batch] for the logdet; for a pair, [batch, 2·D + 2].

    Raises:
        ValueError: A factor's name or size is not allowed, the sizes do not add up to the size of the code, or a pair is
            given to a flow whose codes are not [batch, D].

    References:
        Esser, P., Rombach, R. & Ommer, B. (2020) "A disentangling invertible interpretation network for explaining
        latent representations" arXiv:2004.13166
    """

    def __init__(
        self,
        flow_layers: Sequence[Any] = (),
        factors: Mapping[str, int] | Sequence[tuple[str, int]] | None = None,
        **kwargs: Any,
    ) -> None:
        """Check and keep the factors."""
        super().__init__(flow_layers, **kwargs)
        self._factors_ = () if factors is None else checked_factors(factors)

    @property
    def factors(self) -> dict[str, int] | None:
        """Factor names to sizes, in the order of the code; None where they were not given."""
        return dict(self._factors_) or None

    def build(self, input_shape: Any) -> None:
        """Build all layers and check the factors against the code.

        Args:
            input_shape: The input's shape with the batch axis, or the two shapes of a pair.

        Raises:
            ValueError: As for ``FlowModel``, or the factors' sizes do not add up to the size of the code.
        """
        super().build(input_shape[0] if isinstance(input_shape[0], (list, tuple)) else input_shape)
        size, total = self._layer_shapes_[-1][-1], sum(size for _, size in self._factors_)
        if self._factors_ and size not in (None, total):
            raise ValueError(f"The factors' sizes must add up to the code's {size}. Received: factors={self.factors}")

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Map latents, or pairs of latents, to codes.

        Args:
            inputs: [batch, …], or a tuple or list of two of these.
            training: Passed on to the layers that take it.

        Returns:
            For a batch: the codes [batch, D] and log|det J| [batch]. For a pair: one tensor [batch, 2·D + 2], the
            concatenation of the codes of a and of b and of their two logdets.

        Raises:
            ValueError: Given a pair, the flow's codes are not [batch, D].
        """
        if not isinstance(inputs, (list, tuple)):
            return super().call(inputs, training=training)
        a, b = inputs
        # One call for both halves: layers that look at the whole batch then see all of it.
        codes, logdet = super().call(ops.concatenate([a, b], axis=0), training=training)
        if len(codes.shape) != 2:
            raise ValueError(
                f"Codes must have the shape [batch, D] for training on pairs; flatten first. Received: shape={codes.shape}"
            )
        first = ops.shape(a)[0]
        parts = [codes[:first], codes[first:], logdet[:first, None], logdet[first:, None]]
        return ops.concatenate(parts, axis=-1)

    def split(self, codes: Any) -> dict[str, Any]:
        """Cut codes into factors.

        Args:
            codes: [batch, D].

        Returns:
            Factor names to tensors [batch, size], in the order of the code.

        Raises:
            ValueError: The model has no factors, or the codes' last axis is not as long as they add up to.
        """
        sizes = self._known_factors()
        if codes.shape[-1] != sum(sizes.values()):
            raise ValueError(f"codes must have the shape [batch, {sum(sizes.values())}]. Received: shape={codes.shape}")
        parts = ops.split(codes, list(accumulate(sizes.values()))[:-1], axis=-1)
        return dict(zip(sizes, parts, strict=True))

    def join(self, factors: Mapping[str, Any]) -> Any:
        """Undo ``split``.

        Args:
            factors: Every factor's name, in any order, to its tensor [batch, size].

        Returns:
            Codes [batch, D].

        Raises:
            ValueError: The model has no factors, one is missing, unknown, or of another size.
        """
        sizes = self._known_factors()
        missing, unknown = [n for n in sizes if n not in factors], [n for n in factors if n not in sizes]
        if missing or unknown:
            raise ValueError(f"factors must hold each of {list(sizes)}. Received: missing={missing}, unknown={unknown}")
        for name, size in sizes.items():
            if factors[name].shape[-1] != size:
                raise ValueError(
                    f"Factor {name!r} must have the shape [batch, {size}]. Received: shape={factors[name].shape}"
                )
        return ops.concatenate([factors[name] for name in sizes], axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Return what the constructor takes; the factors as a list of pairs, whose order JSON keeps."""
        factors = [[name, size] for name, size in self._factors_]
        return {**super().get_config(), "factors": factors or None}

    def _known_factors(self) -> dict[str, int]:
        if not self._factors_:
            raise ValueError(f"{self.name} must be made with factors={{name: size}} for this. Received: factors=None")
        return dict(self._factors_)


def check_distinct(layers: Sequence[Any]) -> None:
    """Refuse flow layers of which two are the same object, or have the same network.

    Raises:
        ValueError: Two of them are, or have.
    """
    owners: dict[int, str] = {}
    for layer in layers:
        network = getattr(layer, "_compute_coupling_parameters_", None)
        for part in [layer] if network is None else [layer, network]:
            if id(part) in owners:
                raise ValueError(
                    "Each flow layer, and the network of each coupling, must be an object of its own, or the flow could "
                    f"be saved but not loaded. Received: {part.name} in {owners[id(part)]} and in {layer.name}"
                )
            owners[id(part)] = layer.name
