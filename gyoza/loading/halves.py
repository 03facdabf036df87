"""The halves of a host network: a file to a half, compiled and checked, and to its plan."""

from collections.abc import Iterable
from math import prod
from pathlib import Path

from gyoza.inference import CompiledHalf, LoadedHalf, Proof, load_checked_half, write_half
from gyoza.inference.checks import failures
from gyoza.inference.files.halves import PROBE_ROWS
from gyoza.inference.files.validation import LARGEST_SIZE
from gyoza.inference.files.writing import replacing
from gyoza.inference.halves import check_finite, check_half, probe_rows
from gyoza.loading.errors import LoadError, reason
from gyoza.loading.models import read_with_digest
from gyoza.modelling.halves import LayeredHalf, lower_half

__all__ = ["compile_half", "load_half"]


def load_half(path: Path | str, trusted_modules: Iterable[str] = ()) -> LoadedHalf:
    """Load, compile and check a half of a host network: its encoder, or its decoder.

    Args:
        path: A ``.keras`` file that holds a Sequential or functional model with one input and one output.
        trusted_modules: As for ``load_flow``.

    Returns:
        The compiled half with the figures of its checks, passed or not, and the digest of the bytes that it was read from.

    Raises:
        LoadError: As for ``load_flow``; or it is no such model, or one of too large inputs or outputs, or can't be run.
    """
    path = Path(path)
    model, digest = read_with_digest(path, trusted_modules)
    try:
        plan = lower_half(model)
    except ValueError as error:
        raise LoadError(f"{path.name} can't be compiled: {error}") from error
    size = max(prod(plan.input_shape), prod(plan.output_shape))
    if size > LARGEST_SIZE:
        raise LoadError(
            f"{path.name} must have inputs and outputs of at most {LARGEST_SIZE:,} entries. Received: {size:,}"
        )
    half = CompiledHalf(plan)
    rows = probe_rows(half, PROBE_ROWS)
    try:
        checks = (check_half(half, LayeredHalf(model, half.dtype), rows), check_finite(half, rows))
    except Exception as error:  # Keras raises whatever its layers raise.
        raise LoadError(f"{path.name} can't be run: {type(error).__name__}: {reason(error)}") from error
    return LoadedHalf(half, checks, digest)


def compile_half(path: Path | str, plan_path: Path | str, trusted_modules: Iterable[str] = ()) -> LoadedHalf:
    """Compile a half ahead of time: prove it, write its plan, and prove the plan.

    The plan records the SHA-256 of the ``.keras`` file and what its checks found, so that a service takes it in that file's
    place. It is read back and checked before it takes its place: where that fails, what was there stays.

    Args:
        path: The file, as for ``load_half``.
        plan_path: Where the plan goes, ``encoder.plan.safetensors`` or ``decoder.plan.safetensors`` in a version's folder.
        trusted_modules: As for ``load_flow``.

    Returns:
        The half as the plan gives it, with the figures of all checks.

    Raises:
        LoadError: As for ``load_half``; or a check of the half or of its plan failed, and the text has the figures.
        ValueError: The half is no chain of dense layers with common activations.
        OSError: The plan can't be written.

    Example:
        >>> import keras, tempfile
        >>> from gyoza.loading import compile_half
        >>> half = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, kernel_initializer="ones")])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     half.save(f"{folder}/decoder.keras")
        ...     loaded = compile_half(f"{folder}/decoder.keras", f"{folder}/decoder.plan.safetensors")
        >>> loaded.half([[1.0, 2.0]]).tolist()
        [[3.0, 3.0, 3.0]]
    """
    path = Path(path)
    loaded = load_half(path, trusted_modules)
    require_passed(loaded, path.name)
    with replacing(Path(plan_path)) as part:
        write_half(part, loaded.half.plan, Proof(loaded.checks, loaded.digest))
        compiled, _ = load_checked_half(part)
        require_passed(compiled, "its plan")
    return compiled


def require_passed(loaded: LoadedHalf, name: str) -> None:
    """Refuse a half of which a check failed.

    Raises:
        LoadError: One did.
    """
    if failed := failures(loaded.checks):
        raise LoadError(f"{name} does not pass its checks, so no plan was written ({failed})")
