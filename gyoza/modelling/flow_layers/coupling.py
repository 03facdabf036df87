"""Coupling layers: half of the entries decides how the other half is transformed."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import keras
import numpy as np
from keras import ops

from gyoza.inference import plan
from gyoza.inference.plan import Indices
from gyoza.modelling.axes import as_floats
from gyoza.modelling.backend import Compiled, compiled
from gyoza.modelling.flow_layers.base import FlowLayer, accepts_training
from gyoza.modelling.flow_layers.lowering import inherits, lower_network
from gyoza.modelling.masks import Mask

__all__ = ["LAW", "STRUCTURE", "Coupling", "check_parameters", "check_stacked", "parameters_error"]

STRUCTURE = ("call", "invert", "_coupling_parameters", "_merge")
LAW = (
    "_couple_",
    "_decouple_",
    "compute_jacobian_determinant",
    "_compute_logdet_",
    "_couple_with_logdet_",
    "_split_parameters_",
)


@keras.saving.register_keras_serializable(package="gyoza")
class Coupling(FlowLayer):
    r"""Base class of layers that keep half of the entries and transform the others given those.

    With the mask :math:`w` the layer computes :math:`y = w x + (1 - w) f(x, g(w x))`: entries where the mask is 1 stay,
    and the coupling law :math:`f`, whose parameters the network :math:`g` computes from them, transforms the others.
    To transform all entries, follow with a permutation that fits the mask and another coupling, or use two couplings of
    which the second has the flipped mask (``Mask(axes, shape, mask=[1 - entry for entry in …])``).

    A subclass implements ``_couple_``, ``_decouple_`` and ``compute_jacobian_determinant``. It may also implement
    ``_compute_logdet_``, which gets the coupling parameters and spares ``call`` a second run of the network.

    Args:
        shape: See ``FlowLayer``.
        axes: See ``FlowLayer``.
        compute_coupling_parameters: The network :math:`g`, a Keras layer or model. Its input has the shape of the
            layer's input, zero where the mask is 0; its output is what the subclass says. It need not be invertible.
        mask: The mask :math:`w`, with the same shape and axes.
        **kwargs: What every Keras layer takes.

    Input shape:
        [batch, …] with ``shape`` along ``axes``.

    Output shape:
        The input's, and [batch] for the logdet.

    Raises:
        ValueError: The mask has another shape or other axes, the network's output does not fit the coupling law, or as
            for ``FlowLayer``.

    References:
        Dinh, L., Sohl-Dickstein, J. & Bengio, S. (2016) "Density estimation using Real NVP" arXiv:1605.08803

        Dinh, L., Krueger, D. & Bengio, Y. (2015) "NICE: Non-linear independent components estimation"
        arXiv:1410.8516

    Example:
        >>> import keras
        >>> from gyoza.modelling.flow_layers import Coupling
        >>> class Doubling(Coupling):
        ...     def _couple_(self, inputs, coupling_parameters):
        ...         return 2 * inputs + coupling_parameters
        ...     def _decouple_(self, outputs, coupling_parameters):
        ...         return (outputs - coupling_parameters) / 2
        ...     def compute_jacobian_determinant(self, x):
        ...         changed = self._mask_.call(keras.ops.ones_like(x), is_positive=False)
        ...         return 0.6931472 * keras.ops.sum(changed, axis=tuple(range(1, len(x.shape))))
    """

    _parameter_count_ = 1
    """Into how many tensors of the input's shape the law's parameters split."""

    def __init__(
        self,
        shape: Sequence[int],
        axes: Sequence[int],
        compute_coupling_parameters: Any,
        mask: Mask,
        **kwargs: Any,
    ) -> None:
        """Check that the mask fits; keep it and the network."""
        super().__init__(shape, axes, **kwargs)
        if list(mask._shape_) != self._shape_ or list(mask._axes_) != self._axes_:
            raise ValueError(
                f"mask must have the coupling's shape {list(self._shape_)} and axes {list(self._axes_)}. "
                f"Received: mask.shape={list(mask._shape_)}, mask.axes={list(mask._axes_)}"
            )
        self._compute_coupling_parameters_ = compute_coupling_parameters
        self._mask_ = mask

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Build the network and check what it gives.

        Args:
            input_shape: The input's shape, with the batch axis.

        Raises:
            ValueError: The input does not fit the layer, or the network's output does not fit the coupling law.
        """
        super().build(input_shape)
        self._mask_.build(input_shape)
        symbol = keras.KerasTensor((None, *input_shape[1:]), dtype=self.compute_dtype)
        self._check_parameters_(self._compute_coupling_parameters_(symbol), tuple(input_shape))

    def call(self, inputs: Any, training: bool | None = None) -> tuple[Any, Any]:
        """Transform the entries where the mask is 0, given the others.

        Args:
            inputs: [batch, …].
            training: Passed on to the network where it takes it.

        Returns:
            The outputs [batch, …] and log|det J| [batch].
        """
        x = self._prepare(inputs)
        parameters = self._coupling_parameters(x, training)
        coupled, logdet = self._couple_with_logdet_(x, parameters)
        return self._merge(x, coupled), logdet

    def invert(self, outputs: Any) -> Any:
        """Undo ``call``: map its outputs [batch, …] back to its inputs [batch, …]."""
        y = self._prepare(outputs)
        return self._merge(y, self._decouple_(y, self._coupling_parameters(y)))

    def _couple_(self, inputs: Any, coupling_parameters: Any) -> Any:
        """Apply the coupling law to all entries; ``call`` then takes those where the mask is 0.

        Args:
            inputs: [batch, …].
            coupling_parameters: The network's output.

        Returns:
            The coupled entries [batch, …].

        Raises:
            NotImplementedError: The subclass does not implement it.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement _couple_(inputs, coupling_parameters)")

    def _decouple_(self, outputs: Any, coupling_parameters: Any) -> Any:
        """Undo ``_couple_`` for all entries; ``invert`` then takes those where the mask is 0.

        Args:
            outputs: [batch, …].
            coupling_parameters: The network's output.

        Returns:
            The decoupled entries [batch, …].

        Raises:
            NotImplementedError: The subclass does not implement it.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement _decouple_(outputs, coupling_parameters)")

    def _compute_logdet_(self, inputs: Any, coupling_parameters: Any) -> Any:
        """Compute log|det J| [batch] given the parameters; by default without them.

        Args:
            inputs: [batch, …].
            coupling_parameters: The network's output.

        Returns:
            log|det J| [batch].
        """
        return self.compute_jacobian_determinant(inputs)

    def _couple_with_logdet_(self, inputs: Any, coupling_parameters: Any) -> tuple[Any, Any]:
        """Return what ``_couple_`` and ``_compute_logdet_`` do, for laws that find both at once.

        Args:
            inputs: [batch, …].
            coupling_parameters: The network's output.

        Returns:
            The coupled entries [batch, …] and log|det J| [batch].
        """
        return self._couple_(inputs, coupling_parameters), self._compute_logdet_(inputs, coupling_parameters)

    def _check_parameters_(self, parameters: Any, input_shape: tuple[int | None, ...]) -> None:
        """Check the network's output, given as symbolic tensors, against the input's shape; here anything passes."""

    def _split_parameters_(self, coupling_parameters: Any) -> tuple[Any, ...]:
        """Return the network's output as the law's parameters, each of which fits the shape of the inputs."""
        raise NotImplementedError(f"{type(self).__name__} must implement _split_parameters_(coupling_parameters)")

    def lower(self, input_shape: Sequence[int]) -> tuple[plan.Step, ...]:
        """Lower to one ``Coupling`` where the plan knows the law, else as ``FlowLayer.lower``."""
        law = self._plan_law_()
        if law is None or not inherits(self, Coupling, STRUCTURE) or not inherits(self._mask_, Mask, ["call"]):
            return super().lower(input_shape)
        keeps = self._mask_.passing_entries(input_shape)
        kept, changed = np.flatnonzero(keeps), np.flatnonzero(~keeps)
        return (plan.Coupling(kept, changed, self._lower_network(kept, changed, tuple(input_shape)), law),)

    def _plan_law_(self) -> plan.Law | None:
        """Return the plan's word for this layer's law, None where it has none."""
        return None

    def get_config(self) -> dict[str, Any]:
        """Return what the constructor takes, ready for JSON."""
        return {
            **super().get_config(),
            "compute_coupling_parameters": keras.saving.serialize_keras_object(self._compute_coupling_parameters_),
            "mask": keras.saving.serialize_keras_object(self._mask_),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Coupling":
        """Make a layer from what ``get_config`` returned; the given dict stays as it is."""
        # Keras empties some of the dicts that it deserialises.
        parts = {key: deepcopy(config[key]) for key in ("compute_coupling_parameters", "mask")}
        made = {key: keras.saving.deserialize_keras_object(part) for key, part in parts.items()}
        return cls(**{**config, **made})

    def _coupling_parameters(self, x: Any, training: bool | None = None) -> Any:
        """Run the network once, on the kept entries of ``x`` [batch, …]."""
        network = self._compute_coupling_parameters_
        keywords = {} if training is None or not accepts_training(network) else {"training": training}
        parameters = network(self._mask_.call(x), **keywords)
        return keras.tree.map_structure(lambda parameter: as_floats(parameter, self.compute_dtype), parameters)

    def _merge(self, x: Any, coupled: Any) -> Any:
        """Take ``x`` where the mask is 1 and ``coupled`` where it is 0."""
        return self._mask_.call(x) + self._mask_.call(coupled, is_positive=False)

    def _lower_network(
        self, kept: Indices, changed: Indices, input_shape: tuple[int, ...]
    ) -> plan.DenseNetwork | plan.OpaqueNetwork:
        size, dense = len(kept) + len(changed), None
        if len(input_shape) == 1:
            columns = np.concatenate([changed + place * size for place in range(self._parameter_count_)])
            outputs = self._parameter_count_ * size
            dense = lower_network(
                self._compute_coupling_parameters_, (kept, columns), (size, outputs), self.compute_dtype
            )
        if dense is not None:
            return dense
        source = f"the network of {self.name}"
        return plan.OpaqueNetwork(self._opaque_network(kept, changed, input_shape, source), source)

    def _opaque_network(self, kept: Indices, changed: Indices, input_shape: tuple[int, ...], source: str) -> Compiled:
        places = np.full(len(kept) + len(changed), len(kept))
        places[kept] = np.arange(len(kept))

        def parameters(columns: Any) -> Any:
            # The column of zeros that is added stands wherever the mask hides an entry.
            rows = ops.take(ops.pad(columns, [[0, 0], [0, 1]]), places, axis=1)
            x = self._prepare(ops.reshape(rows, (-1, *input_shape)))
            tensors = self._split_parameters_(self._coupling_parameters(x))
            flat = [ops.reshape(tensor + ops.zeros_like(x), (-1, len(places))) for tensor in tensors]
            return ops.concatenate([ops.take(tensor, changed, axis=1) for tensor in flat], axis=1)

        (function,) = compiled((parameters,), len(kept), self.compute_dtype, source)
        return function


def check_parameters(tensors: Sequence[Any], input_shape: Sequence[int | None], name: str, count: int = 1) -> None:
    """Check that ``count`` symbolic tensors came from a coupling's network and that each broadcasts to the input.

    Raises:
        ValueError: They did not, or do not.
    """
    fit = len(tensors) == count and all(
        hasattr(tensor, "shape")
        and len(tensor.shape) == len(input_shape)
        and all(size in (None, 1, full) or full is None for size, full in zip(tensor.shape, input_shape, strict=True))
        for tensor in tensors
    )
    if not fit:
        raise parameters_error(tensors, input_shape, name)


def check_stacked(parameters: Any, input_shape: Sequence[int | None], name: str, count: int) -> None:
    """Check that one symbolic tensor of a coupling's network holds ``count`` times the input along its last axis.

    Raises:
        ValueError: It does not.
    """
    last = None if input_shape[-1] is None else count * input_shape[-1]
    stacked = (*input_shape[:-1], last)
    if getattr(parameters, "shape", (1,))[-1] == 1 != last:
        raise parameters_error([parameters], stacked, name)
    check_parameters([parameters], stacked, name)


def parameters_error(tensors: Sequence[Any], input_shape: Sequence[int | None], name: str) -> ValueError:
    """Say which shapes a coupling's network must give and which it gave."""
    expected = ["batch", *input_shape[1:]]
    received = [tuple(getattr(tensor, "shape", ())) for tensor in tensors]
    return ValueError(
        f"compute_coupling_parameters of {name} must output tensors of the shape {expected}, as its coupling law says. "
        f"Received: shapes={received}"
    )
