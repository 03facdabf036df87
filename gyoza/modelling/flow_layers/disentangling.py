"""The flow model whose codes are made of independent factors."""

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

import keras
from keras import ops

from gyoza.modelling.flow_layers.factors import checked_factors
from gyoza.modelling.flow_layers.lowering import inherits
from gyoza.modelling.flow_layers.models import DIRECTIONS, FlowModel
from gyoza.modelling.losses import SupervisedFactorLoss
from gyoza.modelling.original import complete, make_readable

__all__ = ["DisentanglingFlowModel"]


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
        TypeError: A factor's size is no integer.

    References:
        Esser, P., Rombach, R. & Ommer, B. (2020) "A disentangling invertible interpretation network for explaining
        latent representations" arXiv:2004.13166

    Example:
        >>> import numpy as np
        >>> from gyoza.modelling.flow_layers import ActivationNormalization, DisentanglingFlowModel
        >>> from gyoza.modelling.losses import SupervisedFactorLoss
        >>> layers = [ActivationNormalization(shape=[3], axes=[1])]
        >>> flow = DisentanglingFlowModel(layers, factors={"residual": 2, "digit": 1})
        >>> flow.compile("sgd", SupervisedFactorLoss([2, 1]))
        >>> z_a, z_b = np.random.default_rng(0).normal(size=(2, 64, 3))
        >>> history = flow.fit((z_a, z_b), np.tile([0.0, 0.9], (64, 1)), verbose=0)
        >>> codes, logdet = flow(z_a)
        >>> {name: tuple(part.shape) for name, part in flow.split(codes).items()}
        {'residual': (64, 2), 'digit': (64, 1)}
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
            inputs: An array or tensor [batch, …], or a tuple or list of two of these.
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

    def fit(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Train as ``keras.Model.fit`` does, with the same arguments.

        Args:
            x: Pairs (z_a, z_b), or what yields batches of them with their targets, such as ``gyoza.data.FactorPairs``.
            y: [batch, factor-count], how similar the two of each pair are.
            *args: See ``keras.Model.fit``.
            **kwargs: See ``keras.Model.fit``.

        Returns:
            The ``History`` of the training.

        Raises:
            ValueError: As for ``FlowModel``, or the loss or what draws pairs is for other factors than the model's.
        """
        sizes = [size for _, size in self._factors_]
        if sizes and isinstance(self.loss, SupervisedFactorLoss) and self.loss._dimensions_per_factor_ != sizes:
            raise ValueError(
                f"The loss must be for the model's factors {self.factors}, in their order: SupervisedFactorLoss({sizes}). "
                f"Received: dimensions_per_factor={self.loss._dimensions_per_factor_}"
            )
        drawn = getattr(x, "factors", None)
        if drawn is not None and sizes and list(drawn) != list(self.factors or ()):
            raise ValueError(
                f"The pairs must be for the model's factors {list(self.factors or ())}, in this order: give the labels in "
                f"it, without the residual. Received: factors={list(drawn)}"
            )
        return super().fit(x, y, *args, **kwargs)

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

    def compile_from_config(self, config: Mapping[str, Any]) -> None:
        """Compile the model as it was when it was saved; see ``keras.Model.compile_from_config``.

        A ``SupervisedFactorLoss`` saved by gyoza 0.3 does not know the sizes of the factors. It gets those of the
        model's, or is left aside with a warning where the model has none either.

        Args:
            config: What ``get_compile_config`` returned.
        """
        super().compile_from_config(complete(config, [size for _, size in self._factors_]))

    def _runs_its_layers_(self) -> bool:
        """Whether ``call`` and ``invert`` are this class's, which add pairs to ``FlowModel``'s."""
        return inherits(self, DisentanglingFlowModel, DIRECTIONS)

    def _known_factors(self) -> dict[str, int]:
        if not self._factors_:
            raise ValueError(f"{self.name} must be made with factors={{name: size}} for this. Received: factors=None")
        return dict(self._factors_)


make_readable(FlowModel)
make_readable(DisentanglingFlowModel)
