"""From a ``.keras`` file to a plan that is proven to be it."""

from collections.abc import Iterable
from pathlib import Path

from gyoza.inference import LoadedFlow, Proof, load_checked_plan, write_plan
from gyoza.inference.checks import Golden, failures
from gyoza.inference.files.writing import replacing
from gyoza.loading.errors import LoadError
from gyoza.loading.flows import load_flow

__all__ = ["compile_file"]


def compile_file(
    flow_path: Path | str, plan_path: Path | str, golden: Golden | None = None, trusted_modules: Iterable[str] = ()
) -> LoadedFlow:
    """Compile the flow of a ``.keras`` file ahead of time: prove it, write its plan, and prove the plan.

    The plan records the SHA-256 of the ``.keras`` file and what its checks found, so that a service takes the plan in that
    file's place. It is read back and checked before it takes its place: where that fails, what was there stays.

    Args:
        flow_path: The file, as for ``load_flow``.
        plan_path: Where the plan goes, ``plan.safetensors`` in a version's folder.
        golden: Rows that the flow and the plan must meet.
        trusted_modules: As for ``load_flow``.

    Returns:
        The flow as the plan gives it, with the figures of all checks.

    Raises:
        LoadError: As for ``load_flow``; or a check of the flow or of its plan failed, and the text has the figures.
        ValueError: The flow calls code, or is otherwise none for a plan; see ``CompiledFlow.save``.
        GoldenError: The golden rows are not of the flow's shapes.
        OSError: The plan can't be written.

    Example:
        >>> import tempfile
        >>> from gyoza.inference import load_plan
        >>> from gyoza.loading import compile_file
        >>> from gyoza.modelling.flow_layers import FlowModel, HeavisidePermutation
        >>> flow = FlowModel([HeavisidePermutation(shape=[2], axes=[1])])
        >>> flow.build((None, 2))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     flow.save(f"{folder}/flow.keras")
        ...     compiled = compile_file(f"{folder}/flow.keras", f"{folder}/plan.safetensors")
        ...     load_plan(f"{folder}/plan.safetensors").encode([[1.0, 2.0]])[0].tolist()
        [[2.0, 1.0]]
    """
    flow_path = Path(flow_path)
    loaded = load_flow(flow_path, golden, trusted_modules)
    require_passed(loaded, flow_path.name)
    with replacing(Path(plan_path)) as part:
        write_plan(part, loaded.flow.plan, Proof(loaded.checks, loaded.digest))
        compiled, _ = load_checked_plan(part, golden)
        require_passed(compiled, "its plan")
    return compiled


def require_passed(loaded: LoadedFlow, name: str) -> None:
    """Refuse a flow of which a check failed.

    Raises:
        LoadError: One did.
    """
    if failed := failures(loaded.checks):
        raise LoadError(f"{name} does not pass its checks, so no plan was written ({failed})")
