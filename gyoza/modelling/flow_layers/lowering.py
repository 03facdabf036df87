"""Lowering of what a plan has no exact step for: whole layers, and the networks inside couplings."""

from collections.abc import Iterable, Sequence
from math import prod
from typing import Any

import keras
import numpy as np
from keras import ops

from gyoza.inference.activations import ACTIVATIONS
from gyoza.inference.plan import Dense, DenseNetwork, Gather, Indices, Linear, Opaque, Rotation, Step
from gyoza.modelling.axes import joined_indices
from gyoza.modelling.backend import compiled

__all__ = [
    "IDLE_LAYERS",
    "LINKS",
    "activation_name",
    "along_axes",
    "chain",
    "fold",
    "functional_chain",
    "inherits",
    "lower_dense",
    "lower_network",
    "opaque",
    "told",
]

IDLE_LAYERS = (
    keras.layers.InputLayer,
    keras.layers.Dropout,
    keras.layers.GaussianNoise,
    keras.layers.GaussianDropout,
    keras.layers.Identity,
)
"""Layers that do nothing outside training."""
LINKS = (keras.layers.Dense, keras.layers.Activation, *IDLE_LAYERS)
"""Layers that a chain may hold."""


def inherits(layer: Any, owner: type, names: Iterable[str]) -> bool:
    """Whether a layer takes the named methods from ``owner`` as they are, so that what holds for it holds here."""
    return all(getattr(type(layer), name) is getattr(owner, name) and name not in vars(layer) for name in names)


def along_axes(step: Rotation | Linear, axes: Sequence[int], input_shape: Sequence[int]) -> tuple[Step, ...]:
    """Let a step that multiplies columns side by side act along axes of a latent.

    Args:
        step: It multiplies as many columns at once as the axes hold.
        axes: The axes, counted with the batch axis.
        input_shape: The shape of one latent, without the batch axis.

    Returns:
        The step; where the entries along the axes do not lie side by side, between one that brings them there and one
        that takes them back.
    """
    together = Gather(joined_indices(axes, input_shape).ravel())
    if np.array_equal(together.indices, np.arange(together.indices.size)):
        return (step,)
    return together, step, Gather(together.inverse)


def opaque(layer: Any, input_shape: Sequence[int], output_shape: Sequence[int], dtype: str) -> Opaque:
    """Return the step that calls a layer's own Keras code.

    Args:
        layer: A built layer with ``call`` and ``invert``.
        input_shape: The shape of one of its inputs, without the batch axis.
        output_shape: The shape of one of its outputs, without the batch axis.
        dtype: What the flow computes in, and so what rows come in; a layer that computes in another one casts them itself.

    Returns:
        The step; its functions take and give rows [n, D] and may be called by any thread. Both are traced, where that can
        be done, when either first runs: from then on they see new weights, but no new attributes of the layer.
    """
    size = prod(input_shape)

    def encode(x: Any) -> tuple[Any, Any]:
        outputs, logdet = layer(ops.reshape(x, (-1, *input_shape)))
        return ops.reshape(outputs, (-1, size)), logdet

    def invert(y: Any) -> Any:
        return ops.reshape(layer.invert(ops.reshape(y, (-1, *output_shape))), (-1, size))

    source = f"the layer {layer.name} ({type(layer).__name__})"
    forth, back = compiled((encode, invert), size, dtype, source)
    return Opaque(forth, back, source)


def lower_network(
    network: Any, wanted: tuple[Indices, Indices], sizes: tuple[int, int], dtype: str
) -> DenseNetwork | None:
    """Lower a chain of dense layers.

    Args:
        network: The built Keras network, from [n, inputs] to [n, outputs].
        wanted: [K], which inputs are not always 0; [p·C], which outputs are wanted, in order.
        sizes: The numbers of inputs and outputs that the network must have.
        dtype: What the flow computes in; a network that computes in another one would give other numbers.

    Returns:
        The dense network from [n, K] to [n, p·C], or None where the network is anything but such a chain.
    """
    layers = chain(network, dtype)
    if layers is None:
        return None
    dense = fold(layers)
    if not dense or (len(dense[0].kernel), len(dense[-1].bias)) != sizes:
        return None
    kept, columns = wanted
    dense[0] = Dense(dense[0].kernel[kept], dense[0].bias, dense[0].activation)
    dense[-1] = Dense(dense[-1].kernel[:, columns], dense[-1].bias[columns], dense[-1].activation)
    return DenseNetwork(tuple(dense))


def chain(network: Any, dtype: str, links: tuple[type, ...] = LINKS) -> list[Any] | None:
    """Return the layers of a network in which each feeds only the next; None where it is no such network.

    Args:
        network: A built Keras network.
        dtype: What each of its layers must compute in.
        links: The layers that it may hold.
    """
    if "call" in vars(network):
        return None
    if type(network) is keras.Sequential:
        parts = [chain(layer, dtype, links) for layer in network.layers]
        whole = network.inputs[0].dtype == dtype and all(part is not None for part in parts)
        return [layer for part in parts for layer in part or ()] if whole else None
    if type(network).__name__ == "Functional" and isinstance(network, keras.Model):
        return functional_chain(network, dtype, links)
    return [network] if type(network) in links and network.compute_dtype == dtype else None


def functional_chain(network: Any, dtype: str, links: tuple[type, ...]) -> list[Any] | None:
    """Return the layers of a functional network from its one input to its one output, or None where it branches."""
    if len(network.inputs) != 1 or len(network.outputs) != 1:
        return None
    layers = [layer for layer in network.layers if not isinstance(layer, keras.layers.InputLayer)]
    end, parts = network.inputs[0], [chain(layer, dtype, links) for layer in layers]
    for layer, part in zip(layers, parts, strict=True):
        # A layer that is used more than once, or a model in the model, has more than one input or another one.
        if part != [layer] or len(layer._inbound_nodes) != 1 or layer.input is not end or told(layer):
            return None
        end = layer.output
    return layers if end is network.outputs[0] and network.inputs[0].dtype == dtype else None


def told(layer: Any) -> bool:
    """Whether a functional network calls a layer with more than its input, such as ``training=True``."""
    arguments = layer._inbound_nodes[0].arguments
    return len(arguments.args) != 1 or any(not (value is None or value is False) for value in arguments.kwargs.values())


def fold(layers: Sequence[Any]) -> list[Dense]:
    """Turn layers of a chain into dense steps; empty where one of them can't be one."""
    dense: list[Dense] = []
    for layer in layers:
        if isinstance(layer, IDLE_LAYERS):
            continue
        activation = activation_name(layer.activation)
        if activation is None or getattr(layer, "quantization_mode", None):
            return []
        if isinstance(layer, keras.layers.Dense):
            dense.append(lower_dense(layer, activation))
        elif dense and dense[-1].activation == "linear":
            dense[-1] = Dense(dense[-1].kernel, dense[-1].bias, activation)
        else:
            return []
    return dense


def lower_dense(layer: Any, activation: str) -> Dense:
    """Read the kernel and bias of a ``Dense`` layer."""
    kernel = ops.convert_to_numpy(layer.kernel)
    bias = ops.convert_to_numpy(layer.bias) if layer.use_bias else np.zeros(kernel.shape[1], kernel.dtype)
    return Dense(kernel, bias, activation)


def activation_name(function: Any) -> str | None:
    """Return the name under which ``gyoza.inference.activations`` knows a Keras activation; None where it does not."""
    return next((name for name in ACTIVATIONS if getattr(keras.activations, name) is function), None)
