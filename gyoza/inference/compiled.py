"""A compiled flow: a plan and the executor that runs it, NumPy in and out."""

from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from gyoza.inference.executors import NumpyExecutor
from gyoza.inference.files.proof import Proof
from gyoza.inference.files.writing import write_plan
from gyoza.inference.fusion import fuse
from gyoza.inference.plan import Coupling, Floats, Opaque, OpaqueNetwork, Plan, Step

__all__ = ["CompiledFlow", "Lowerable", "compile_flow", "functions"]


class Lowerable(Protocol):
    """Anything that lowers itself to a plan, such as a built ``gyoza.modelling.flow_layers.FlowModel``."""

    def lower(self) -> Plan:
        """Return the plan."""


class CompiledFlow:
    """A flow that is ready to run. It holds no state between calls, so threads may share it.

    Args:
        plan: The flow as steps.

    Example:
        >>> import numpy as np
        >>> from gyoza.inference import CompiledFlow, Plan
        >>> from gyoza.inference.plan import Affine
        >>> plan = Plan((Affine(np.array([2.0]), np.array([1.0])),), (1,), (1,), np.dtype("float64"))
        >>> flow = CompiledFlow(plan)
        >>> codes, logdet = flow.encode([[3.0]])
        >>> codes.tolist(), logdet.round(4).tolist(), flow.invert(codes).tolist()
        ([[4.0]], [0.6931], [[3.0]])
    """

    def __init__(self, plan: Plan) -> None:
        """Fuse the plan's steps and prepare their arrays for the executor."""
        self.plan = plan
        with np.errstate(all="ignore"):
            self._executor = NumpyExecutor(fuse(plan))

    @property
    def latent_shape(self) -> tuple[int, ...]:
        """The shape of one latent, without the batch axis."""
        return self.plan.latent_shape

    @property
    def code_shape(self) -> tuple[int, ...]:
        """The shape of one code, without the batch axis."""
        return self.plan.code_shape

    @property
    def dtype(self) -> np.dtype[np.floating[Any]]:
        """What inputs are cast to and answers come in."""
        return self.plan.dtype

    @property
    def calls_code(self) -> bool:
        """Whether a step calls code, so that the plan is more than arrays and can't be saved."""
        return any(functions(step) for step in self.plan.steps)

    @property
    def traces(self) -> int:
        """How often a backend traced what the plan's opaque steps call: once each, when a step first runs, or never."""
        return sum(getattr(function, "traces", 0) for step in self.plan.steps for function in functions(step))

    def encode(self, latents: ArrayLike) -> tuple[Floats, Floats]:
        """Map latents to codes.

        Args:
            latents: [n, *latent_shape], any real dtype.

        Returns:
            Codes [n, *code_shape] and the logdet log|det T'(z)| [n], both of the flow's dtype. A row whose result
            overflows holds inf or NaN; the other rows are not touched by it.

        Raises:
            ValueError: The shape is not [n, *latent_shape].
        """
        codes, logdet = self._executor.encode(self._rows(latents, self.latent_shape, "latents"))
        return codes.reshape(len(codes), *self.code_shape), logdet

    def invert(self, codes: ArrayLike) -> Floats:
        """Map codes back to latents.

        Args:
            codes: [n, *code_shape], any real dtype.

        Returns:
            Latents [n, *latent_shape] of the flow's dtype.

        Raises:
            ValueError: The shape is not [n, *code_shape].
        """
        latents = self._executor.invert(self._rows(codes, self.code_shape, "codes"))
        return latents.reshape(len(latents), *self.latent_shape)

    def save(self, path: Path | str, proof: Proof | None = None) -> None:
        """Save the flow as a plan compiled ahead of time, which ``load_plan`` runs without Keras.

        Args:
            path: Where to, such as ``plan.safetensors`` in a version's folder; a file that is there is replaced.
            proof: What was found when the flow was compared with its layers, for those who load it. A service takes a plan
                that lies beside a ``flow.keras`` only with the digest of that file in its proof;
                ``gyoza.loading.compile_file`` sees to it.

        Raises:
            ValueError: A step calls code (a convolution, a network that branches, a layer of one's own, a linear layer of
                more than 1,024 entries along its axes), or a number in it is not finite.
            OSError: The file can't be written.
        """
        write_plan(path, self.plan, proof)

    def _rows(self, values: ArrayLike, shape: tuple[int, ...], name: str) -> Floats:
        with np.errstate(all="ignore"):
            array = np.asarray(values, dtype=self.dtype)
        if array.shape[1:] != shape or array.ndim != len(shape) + 1:
            expected = ", ".join(["n", *map(str, shape)])
            raise ValueError(f"{name} must have the shape [{expected}]. Received: {name}.shape={array.shape}")
        return array.reshape(len(array), self.plan.size)


def functions(step: Step) -> tuple[Any, ...]:
    """Return the functions that a step calls."""
    if isinstance(step, Opaque):
        return step.encode, step.invert
    if isinstance(step, Coupling) and isinstance(step.network, OpaqueNetwork):
        return (step.network.function,)
    return ()


def compile_flow(model: Lowerable) -> CompiledFlow:
    """Compile a flow for inference.

    Args:
        model: A built ``FlowModel``. The weights that the plan holds as arrays are read now, those behind an opaque step
            or network when it runs; after a change of any, compile anew. What such a layer or network reads beside its
            weights, plain attributes above all, may be frozen when it first runs.

    Returns:
        The compiled flow, which answers what the model's own ``call`` and ``invert`` answer, to rounding.

    Raises:
        ValueError: The model is not built.

    Example:
        >>> import numpy as np
        >>> from gyoza.inference import compile_flow
        >>> from gyoza.modelling.flow_layers import FlowModel, HeavisidePermutation
        >>> model = FlowModel([HeavisidePermutation(shape=[2], axes=[1])])
        >>> model.build((None, 2))
        >>> codes, logdet = compile_flow(model).encode([[1.0, 2.0]])
        >>> codes.tolist(), logdet.tolist()
        ([[2.0, 1.0]], [0.0])
    """
    return CompiledFlow(model.lower())
