"""What backends do each in their own way, automatic differentiation above all: the one file that knows them by name."""

from collections.abc import Callable
from functools import cached_property
from importlib import import_module
from typing import Any

import keras
import numpy as np
from keras import ops

from gyoza.inference.plan import Floats

__all__ = [
    "GRADIENTS",
    "OUTPUTS_AT_ONCE",
    "Compiled",
    "assigns_in_traces",
    "gradient",
    "jacobian",
    "row_jacobian",
    "traced",
]

OUTPUTS_AT_ONCE = 256
"""How many copies of a row one backward pass holds, so that the memory of a large Jacobian is mostly its own."""


def assigns_in_traces() -> bool:
    """Whether a variable that is assigned while code is traced keeps its value, as on TensorFlow and PyTorch.

    JAX's functions are pure: Keras hands back what they make of variables that are not trained, and drops the rest.
    """
    name: str = keras.backend.backend()
    return name != "jax"


class Compiled:
    """A function of rows that is traced once, for any number of them, and then runs without Python between its parts.

    TensorFlow can do so; other backends, and code that can't be traced (such as NumPy's on the values), run as they are.
    Threads may share it. Weights are read when it runs.

    Args:
        function: Maps a tensor [n, size] to a tensor [n, …] or a tuple of them, each row by itself.
        size: D, the columns of a row.
        dtype: What the function computes in.
    """

    def __init__(self, function: Callable[[Any], Any], size: int, dtype: str) -> None:
        """Keep the function; it is traced when it is first called."""
        self._function, self._size, self._dtype = function, size, dtype

    def __call__(self, rows: Floats) -> Any:
        """Run the function on NumPy rows [n, size]; its results are arrays of their dtype."""
        results = self._run(ops.convert_to_tensor(rows, dtype=self._dtype))
        return keras.tree.map_structure(lambda tensor: np.asarray(ops.convert_to_numpy(tensor), rows.dtype), results)

    @property
    def traces(self) -> int:
        """How often it was traced."""
        count = getattr(vars(self).get("_run"), "experimental_get_tracing_count", lambda: 0)
        return int(count())

    @cached_property
    def _run(self) -> Callable[[Any], Any]:
        if keras.backend.backend() == "tensorflow":
            return traced(self._function, self._size, self._dtype)
        return self._function  # pragma: no cover - another backend


def traced(function: Callable[[Any], Any], size: int, dtype: str) -> Callable[[Any], Any]:
    """Trace a function of rows [n, size] for TensorFlow; return it as it is where that can't be done."""
    tensorflow = import_module("tensorflow")
    signature = [tensorflow.TensorSpec([None, size], dtype)]
    graph = tensorflow.function(function, input_signature=signature, autograph=False)
    try:
        graph.get_concrete_function()
    except Exception:  # noqa: BLE001 - whatever a reader's own code raises for want of values.
        return function
    found: Callable[[Any], Any] = graph
    return found


def jacobian(function: Callable[[Any], Any], rows: Floats) -> Floats:
    """Compute the Jacobian of a function of rows, at each row.

    Args:
        function: Maps a tensor [m, D] to a tensor [m, E], each row by itself.
        rows: [n, D].

    Returns:
        [n, E, D], the derivative of each output by each input.
    """
    return np.stack([row_jacobian(function, row) for row in rows])


def row_jacobian(function: Callable[[Any], Any], row: Floats) -> Floats:
    """Compute the Jacobian [E, D] at one row [D], in passes over copies of it, each copy for another output."""
    size = function(ops.convert_to_tensor(row[None])).shape[1]
    parts = [range(size)[start : start + OUTPUTS_AT_ONCE] for start in range(0, size, OUTPUTS_AT_ONCE)]
    return np.concatenate([_some_outputs(function, row, outputs, size) for outputs in parts])


def _some_outputs(function: Callable[[Any], Any], row: Floats, outputs: range, size: int) -> Floats:
    chosen = np.zeros((len(outputs), size), row.dtype)
    chosen[np.arange(len(outputs)), outputs] = 1
    weights = ops.convert_to_tensor(chosen)
    return gradient(lambda x: ops.sum(function(x) * weights), np.repeat(row[None], len(outputs), axis=0))


def gradient(function: Callable[[Any], Any], x: Floats) -> Floats:
    """Compute the gradient of a function to one number.

    Args:
        function: Maps a tensor of the shape of ``x`` to a tensor of no axes.
        x: Where.

    Returns:
        The gradient, of the shape of ``x``.

    Raises:
        NotImplementedError: Keras runs on a backend that has no automatic differentiation here.
    """
    name = keras.backend.backend()
    if name not in GRADIENTS:
        raise NotImplementedError(f"The Keras backend must be one of {list(GRADIENTS)}. Received: backend={name}")
    return np.asarray(ops.convert_to_numpy(GRADIENTS[name](function, ops.convert_to_tensor(x))))


def _tensorflow_gradient(function: Callable[[Any], Any], x: Any) -> Any:
    with import_module("tensorflow").GradientTape() as tape:
        tape.watch(x)
        value = function(x)
    return tape.gradient(value, x)


def _jax_gradient(function: Callable[[Any], Any], x: Any) -> Any:  # pragma: no cover - another backend
    return import_module("jax").grad(function)(x)


def _torch_gradient(function: Callable[[Any], Any], x: Any) -> Any:  # pragma: no cover - another backend
    x = x.detach().requires_grad_()
    return import_module("torch").autograd.grad(function(x), x)[0]


GRADIENTS = {"tensorflow": _tensorflow_gradient, "jax": _jax_gradient, "torch": _torch_gradient}
