"""What ``tritonclient[http]`` is given and gives, alike for its plain and its asyncio client."""

import inspect
from collections.abc import Callable
from typing import Any

from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from tests.clients.scripts.native import Array


async def value(found: Any) -> Any:
    """Return what a call of either client gives."""
    return await found if inspect.isawaitable(found) else found


async def refused(status: int, text: str, call: Callable[..., Any], *arguments: Any, **options: Any) -> None:
    """Require that a call raises the client's own error, with the server's status and words."""
    error = await error_of(call, *arguments, **options)
    assert error is not None, f"must be refused with {status}: {text}"
    assert error.status() == str(status), error
    assert text in error.message(), error
    assert "an exception occurred in the client" not in error.message(), error


async def error_of(call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Return the client's own error that a call raises; None where it raises none."""
    try:
        await value(call(*arguments, **options))
    except InferenceServerException as error:
        return error
    return None


def tensor(module: Any, name: str, array: Array, *, binary: bool = True) -> Any:
    """Make an input of rows."""
    found = module.InferInput(name, [1], np_to_triton_dtype(array.dtype)).set_shape([*array.shape])
    return found.set_data_from_numpy(array, binary_data=binary)


def outputs_of(result: Any) -> dict[str, Array]:
    """Return every output of a result."""
    return {output["name"]: result.as_numpy(output["name"]) for output in result.get_response()["outputs"]}
