"""Lowering of the halves of a host network: dense layers where they are a chain of such, else a function that is traced."""

from collections.abc import Sequence
from math import prod
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import ArrayLike

from gyoza.inference.files.rules import DTYPES
from gyoza.inference.halves import HalfPlan
from gyoza.inference.plan import Dense, DenseNetwork, Floats, OpaqueNetwork, Origin
from gyoza.modelling.backend import compiled
from gyoza.modelling.flow_layers.lowering import IDLE_LAYERS, LINKS, activation_name, chain, lower_dense
from gyoza.modelling.flow_layers.origin import libraries

__all__ = ["LayeredHalf", "lower_half"]

RESHAPING = (keras.layers.Flatten, keras.layers.Reshape)
"""Layers that leave a row's numbers in their order."""
HALF_LINKS = (*LINKS, *RESHAPING, keras.layers.Rescaling)


def lower_half(model: Any) -> HalfPlan:
    """Lower a half to a plan.

    Args:
        model: A built ``keras.Sequential`` or functional model with one input and one output, of fixed shapes.

    Returns:
        The plan. Weights that it holds as arrays are read now, those of a model that is no chain of dense layers when it
        runs.

    Raises:
        ValueError: It is no such model.
    """
    input_shape, output_shape = (row_shape(model, name) for name in ("inputs", "outputs"))
    given = model.inputs[0].dtype
    dtype = given if given in DTYPES else "float32"
    sizes = prod(input_shape), prod(output_shape)
    network = lower_dense_half(model, sizes, dtype) or opaque_half(model, input_shape, sizes, dtype)
    origin = Origin(None, len(model.layers), model.count_params(), libraries())
    return HalfPlan(network, input_shape, output_shape, np.dtype(dtype), origin)


def row_shape(model: Any, name: str) -> tuple[int, ...]:
    """Return the shape of a row of a model's one input, or of its one output.

    Raises:
        ValueError: There is not one, it is not fixed, or holds no floats.
    """
    tensors = getattr(model, name, None) or []
    shape = tuple(tensors[0].shape[1:]) if len(tensors) == 1 else ()
    if not shape or None in shape or "float" not in tensors[0].dtype:
        received = ", ".join(f"{list(tensor.shape)} of {tensor.dtype}" for tensor in tensors) or "none"
        raise ValueError(
            f"A half must be a Sequential or functional model, its {name} one tensor of floats [n, …] of a fixed shape. "
            f"Received: {type(model).__name__} with the {name} {received}"
        )
    return shape


def opaque_half(model: Any, input_shape: Sequence[int], sizes: tuple[int, int], dtype: str) -> OpaqueNetwork:
    """Return what calls a model's own Keras code on rows [n, I] and gives rows [n, O]."""

    def function(rows: Any) -> Any:
        return ops.reshape(model(ops.reshape(rows, (-1, *input_shape)), training=False), (-1, sizes[1]))

    source = f"the model {model.name} ({type(model).__name__})"
    (traced,) = compiled((function,), sizes[0], dtype, source)
    return OpaqueNetwork(traced, source)


def lower_dense_half(model: Any, sizes: tuple[int, int], dtype: str) -> DenseNetwork | None:
    """Lower a chain of dense layers from rows [n, I] to rows [n, O]; None where the model is anything but that."""
    layers = chain(model, dtype, HALF_LINKS)
    folded = Folded()
    if layers is None or not all(map(folded.add, layers)) or not folded.dense or folded.is_scaled:
        return None
    widths = [len(folded.dense[0].kernel), *(len(layer.bias) for layer in folded.dense)]
    # A dense layer may also act along the last of several axes, as one matrix for each entry of the others.
    fits = all(len(layer.kernel) == width for layer, width in zip(folded.dense, widths, strict=False))
    return DenseNetwork(tuple(folded.dense)) if fits and (widths[0], widths[-1]) == sizes else None


class Folded:
    """Layers of a chain, one after the other, as dense ones."""

    def __init__(self) -> None:
        """Begin with none."""
        self.dense: list[Dense] = []
        self._scale, self._offset = 1.0, 0.0

    @property
    def is_scaled(self) -> bool:
        """Whether what comes next gets its inputs scaled."""
        return (self._scale, self._offset) != (1.0, 0.0)

    def add(self, layer: Any) -> bool:
        """Add a layer; False where it can't be one."""
        if isinstance(layer, IDLE_LAYERS):
            return True
        if isinstance(layer, RESHAPING):
            return getattr(layer, "data_format", "channels_last") == "channels_last"
        if isinstance(layer, keras.layers.Rescaling):
            return self._rescale(layer.scale, layer.offset)
        activation = activation_name(layer.activation)
        if activation is None or getattr(layer, "quantization_mode", None):
            return False
        if isinstance(layer, keras.layers.Dense):
            self._add_dense(lower_dense(layer, activation))
            return True
        return self._activate(activation)

    def _add_dense(self, layer: Dense) -> None:
        if self.is_scaled:
            kernel = layer.kernel.astype(np.float64)
            layer = Dense(kernel * self._scale, layer.bias + self._offset * kernel.sum(axis=0), layer.activation)
            self._scale, self._offset = 1.0, 0.0
        self.dense.append(layer)

    def _activate(self, activation: str) -> bool:
        if self.is_scaled or not self.dense or self.dense[-1].activation != "linear":
            return False
        self.dense[-1] = Dense(self.dense[-1].kernel, self.dense[-1].bias, activation)
        return True

    def _rescale(self, scale: Any, offset: Any) -> bool:
        if not all(type(number) in {int, float} for number in (scale, offset)):
            return False
        if self.dense and self.dense[-1].activation == "linear" and not self.is_scaled:
            kernel, bias = (part.astype(np.float64) for part in (self.dense[-1].kernel, self.dense[-1].bias))
            self.dense[-1] = Dense(kernel * scale, bias * scale + offset)
        else:
            self._scale, self._offset = self._scale * scale, self._offset * scale + offset
        return True


class LayeredHalf:
    """A half that calls a model, and so its layers one by one, for checks.

    Args:
        model: As for ``lower_half``.
        dtype: What rows come in, and results go out.
    """

    def __init__(self, model: Any, dtype: np.dtype[np.floating[Any]]) -> None:
        """Keep the model."""
        self._model, self._dtype = model, dtype

    def __call__(self, rows: ArrayLike) -> Floats:
        """Map inputs [n, *input_shape] to outputs [n, *output_shape]."""
        return np.asarray(ops.convert_to_numpy(self._model(np.asarray(rows, self._dtype), training=False)), self._dtype)
