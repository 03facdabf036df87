"""From a plan's file to a flow that is ready to run."""

from pathlib import Path

from gyoza.inference.checks import (
    Check,
    Golden,
    check_golden,
    check_round_trip,
    probe_latents,
)
from gyoza.inference.compiled import CompiledFlow
from gyoza.inference.files.proof import Proof
from gyoza.inference.files.reading import read_plan
from gyoza.inference.loaded import LoadedFlow
from gyoza.inference.step_checks import check_logdet_of_steps, check_steps

__all__ = ["load_checked_plan", "load_plan"]

PROBE_ROWS = 16


def load_plan(path: Path | str) -> CompiledFlow:
    """Load a flow that was compiled ahead of time; neither Keras nor a backend is needed.

    Args:
        path: A file that ``CompiledFlow.save`` wrote.

    Returns:
        The flow, ready to run.

    Raises:
        PlanError: The file is damaged, no plan, of a newer format, or its steps do not fit together.
        OSError: The file can't be read.

    Example:
        >>> import numpy as np, tempfile
        >>> from gyoza.inference import CompiledFlow, Plan, load_plan
        >>> from gyoza.inference.plan import Gather
        >>> flow = CompiledFlow(Plan((Gather(np.array([1, 0])),), (2,), (2,), np.dtype("float32")))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     flow.save(f"{folder}/plan.safetensors")
        ...     load_plan(f"{folder}/plan.safetensors").encode([[1.0, 2.0]])[0].tolist()
        [[2.0, 1.0]]
    """
    return CompiledFlow(read_plan(path).plan)


def load_checked_plan(path: Path | str, golden: Golden | None = None) -> tuple[LoadedFlow, Proof]:
    """Load a flow that was compiled ahead of time and check it again.

    Args:
        path: The file.
        golden: Rows recorded when the flow was packaged, to be met again.

    Returns:
        The flow with the figures of its checks, those recorded in the file first; and how the file says that it was proven.

    Raises:
        PlanError: As for ``load_plan``.
        GoldenError: The golden rows are not of the flow's shapes.
        OSError: The file can't be read.
    """
    file = read_plan(path)
    flow = CompiledFlow(file.plan)
    latents = probe_latents(flow, PROBE_ROWS)
    found: tuple[Check, ...] = (
        check_steps(flow, file.plan, latents),
        check_round_trip(flow, latents),
        check_logdet_of_steps(flow, file.plan, latents),
    )
    if golden is not None:
        found = (*found, check_golden(flow, golden))
    names = {check.name for check in found}
    recorded = tuple(check for check in file.proof.checks if check.name not in names)
    return LoadedFlow(flow, (*recorded, *found), file.digest), file.proof
