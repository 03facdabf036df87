"""What backends do each in their own way, automatic differentiation above all: the one file that knows them by name."""

import logging
import re
from collections.abc import Callable, Sequence
from importlib import import_module
from threading import Lock
from typing import Any

import keras
import numpy as np
from keras import ops

from gyoza.inference.plan import Floats, Indices

__all__ = [
    "GRADIENTS",
    "OUTPUTS_AT_ONCE",
    "Compiled",
    "Trace",
    "assigns_in_traces",
    "compiled",
    "gradient",
    "in_a_line",
    "jacobian",
    "traced",
]

LOGGER = logging.getLogger("gyoza.modelling")
COLORS = re.compile(r"\x1b\[\d+m")
OUTPUTS_AT_ONCE = 256
"""How many copies of rows one backward pass holds, so that the memory of a large Jacobian is mostly its own."""


def assigns_in_traces() -> bool:
    """Whether a variable that is assigned while code is traced keeps its value, as on TensorFlow and PyTorch.

    JAX's functions are pure: Keras hands back what they make of variables that are not trained, and drops the rest.
    """
    name: str = keras.backend.backend()
    return name != "jax"


class Compiled:
    """A function of rows that is traced, for any number of them, and then runs without Python between its parts.

    TensorFlow can do so; other backends, and code that can't be traced (such as NumPy's on the values), run as they are.
    Threads may share it. Weights are read when it runs; all else that the function reads, such as plain attributes of a
    layer, is frozen with the trace.

    Args:
        trace: The trace of the function and of those that must agree with it.
        number: Which of them.
    """

    def __init__(self, trace: "Trace", number: int) -> None:
        """Keep the trace, which is made when one of its functions is first called."""
        self._trace, self._number = trace, number

    def __call__(self, rows: Floats) -> Any:
        """Run the function on NumPy rows [n, size]; its results are arrays of their dtype that are nobody else's."""
        results = self._trace.functions[self._number](ops.convert_to_tensor(rows, dtype=self._trace.dtype))
        return keras.tree.map_structure(lambda tensor: np.array(ops.convert_to_numpy(tensor), rows.dtype), results)

    @property
    def traces(self) -> int:
        """How often it was traced."""
        return self._trace.counts[self._number]


class Trace:
    """Functions of rows that are traced together when one of them is first called, so that they always agree.

    Args:
        functions: Each maps a tensor [n, size] to a tensor [n, …] or a tuple of them, each row by itself.
        size: D, the columns of a row.
        dtype: What rows come in as.
        source: What is called, for messages.
    """

    def __init__(self, functions: Sequence[Callable[[Any], Any]], size: int, dtype: str, source: str) -> None:
        """Trace nothing yet."""
        self.size, self.dtype, self.source = size, dtype, source
        self._given = tuple(functions)
        self._traced: tuple[Callable[[Any], Any], ...] | None = None
        self._lock = Lock()

    @property
    def functions(self) -> tuple[Callable[[Any], Any], ...]:
        """The functions, traced where that can be done."""
        if self._traced is None:
            with self._lock:
                # Another thread may have been the first.
                self._traced = self._traced or self._trace()
        return self._traced

    @property
    def counts(self) -> tuple[int, ...]:
        """How often each was traced."""
        found = (getattr(each, "experimental_get_tracing_count", lambda: 0) for each in self._traced or self._given)
        return tuple(int(count()) for count in found)

    def _trace(self) -> tuple[Callable[[Any], Any], ...]:
        if keras.backend.backend() != "tensorflow":
            return self._given  # pragma: no cover - another backend
        try:
            return tuple(traced(function, self.size, self.dtype) for function in self._given)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a reader's own code raises for want of values.
            LOGGER.warning(
                "%s can't be traced, so it runs call by call, more slowly: %s", self.source, in_a_line(error)
            )
            return self._given


def compiled(functions: Sequence[Callable[[Any], Any]], size: int, dtype: str, source: str) -> tuple[Compiled, ...]:
    """Return functions that are traced together; for the arguments see ``Trace``."""
    trace = Trace(functions, size, dtype, source)
    return tuple(Compiled(trace, number) for number in range(len(functions)))


def in_a_line(error: Exception) -> str:
    """Return the class of an error and what it says, which Keras spreads over lines and colours."""
    return f"{type(error).__name__}: {' '.join(COLORS.sub('', str(error)).split())}"


def traced(function: Callable[[Any], Any], size: int, dtype: str) -> Callable[[Any], Any]:
    """Trace a function of rows [n, size] for TensorFlow.

    Raises:
        Exception: Whatever it raises for want of values.
    """
    tensorflow = import_module("tensorflow")
    signature = [tensorflow.TensorSpec([None, size], dtype)]
    graph: Callable[[Any], Any] = tensorflow.function(function, input_signature=signature, autograph=False)
    graph.get_concrete_function()  # type: ignore[attr-defined]
    return graph


def jacobian(function: Callable[[Any], Any], rows: Floats) -> Floats:
    """Compute the Jacobian of a function of rows, at each row.

    Args:
        function: Maps a tensor [m, D] to a tensor [m, E], each row by itself.
        rows: [n, D].

    Returns:
        [n, E, D], the derivative of each output by each input.
    """
    size = function(ops.convert_to_tensor(rows[:1])).shape[1]
    places, outputs = np.divmod(np.arange(len(rows) * size), size)
    starts = range(0, len(places), OUTPUTS_AT_ONCE)
    parts = [slice(start, start + OUTPUTS_AT_ONCE) for start in starts]
    slopes = [_some_outputs(function, rows[places[part]], outputs[part], size) for part in parts]
    return np.concatenate(slopes).reshape(len(rows), size, -1)


def _some_outputs(function: Callable[[Any], Any], copies: Floats, outputs: Indices, size: int) -> Floats:
    """Return of each copy of a row [m, D] the derivative [m, D] of one of its ``size`` outputs."""
    chosen = np.zeros((len(outputs), size), copies.dtype)
    chosen[np.arange(len(outputs)), outputs] = 1
    weights = ops.convert_to_tensor(chosen)
    return gradient(lambda x: ops.sum(function(x) * weights), copies)


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
