"""The JSON of a request, checked: what it describes, tensor by tensor. Members that nobody knows are left aside."""

from collections.abc import Iterator, Mapping
from typing import Any

from app.codecs.nests import shown
from app.codecs.oip.values import InferRequest, Input, Output
from app.codecs.safetensors import are_sizes
from app.errors import FieldError, InvalidInput

NOT_OFFERED = ("shared_memory_", "sequence_", "classification", "triton_")
"""Parameters that begin so ask for what is not done here; leaving them aside would give another answer than was asked for."""
MICROSECONDS = 1e-6
LONGEST_TIMEOUT = 10**15
"""In microseconds: more is as good as none, and need not fit a float."""


def described(document: Mapping[str, Any]) -> InferRequest:
    """Check what a request's JSON says; the bytes behind it are not there yet.

    Args:
        document: The members of the JSON.

    Raises:
        InvalidInput: A member breaks a rule.
    """
    parameters = parameters_of(document, "parameters")
    return InferRequest(
        id=id_of(document.get("id")),
        inputs=tuple(input_of(item, field) for field, item in objects(document, "inputs")),
        outputs=outputs_of(document),
        binary=switch(parameters, "binary_data_output", "parameters") or False,
        timeout_s=timeout_of(parameters.get("timeout")),
    )


def objects(document: Mapping[str, Any], member: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the objects of a list with what each is called in errors; none where the list is left out."""
    found = document.get(member)
    if not isinstance(found, list | None):
        raise wrong(member, "must be a list with an object a tensor", found)
    for position, item in enumerate(found or ()):
        if not isinstance(item, dict):
            raise wrong(f"{member}[{position}]", "must be an object", item)
        yield f"{member}[{position}]", item


def id_of(value: object) -> str | None:
    """Check the id of a request, which comes back in the answer."""
    if value is None:
        return None
    if not isinstance(value, str) or any("\ud800" <= character <= "\udfff" for character in value):
        raise wrong("id", "must be a text of Unicode characters", value)
    return value


def input_of(item: Mapping[str, Any], field: str) -> Input:
    """Check one input, whose bytes are looked for later if they are behind the JSON."""
    for member in ("name", "datatype"):
        if not isinstance(item.get(member), str):
            raise wrong(f"{field}.{member}", "must be a text", item.get(member))
    shape: Any = item.get("shape")
    data = item.get("data")
    if not are_sizes(shape):
        raise wrong(f"{field}.shape", "must be a list of integers of 0 or more", shape)
    size = parameters_of(item, f"{field}.parameters").get("binary_data_size")
    if (data is None) == (size is None):
        rule = "must have either data, or parameters.binary_data_size and so many bytes behind the JSON"
        raise wrong(field, rule, "neither" if data is None else "both")
    if size is not None and not are_sizes([size]):
        raise wrong(f"{field}.parameters.binary_data_size", "must be an integer of 0 or more", size)
    return Input(item["name"], item["datatype"], tuple(shape), data, size)


def outputs_of(document: Mapping[str, Any]) -> tuple[Output, ...]:
    """Check the outputs that are wanted, each once."""
    found: dict[str, Output] = {}
    for field, item in objects(document, "outputs"):
        name = item.get("name")
        if not isinstance(name, str) or name in found:
            raise wrong(f"{field}.name", "must be a text, another one for each output", name)
        parameters = parameters_of(item, f"{field}.parameters")
        found[name] = Output(name, switch(parameters, "binary_data", f"{field}.parameters"))
    return tuple(found.values())


def parameters_of(item: Mapping[str, Any], field: str) -> dict[str, Any]:
    """Return the parameters of a request or a tensor, refusing those that ask for what is not offered."""
    found = item.get("parameters")
    if not isinstance(found, dict | None):
        raise wrong(field, "must be an object", found)
    for name, value in (found or {}).items():
        # Clients write out what they do not ask for as 0, false or an empty text.
        if name.startswith(NOT_OFFERED) and value not in (0, "", None):
            raise InvalidInput(FieldError(f"{field}.{name}", "is not offered here; leave it out"))
    return found or {}


def switch(parameters: Mapping[str, Any], name: str, field: str) -> bool | None:
    """Return a parameter that is true or false; None where it is left out."""
    value = parameters.get(name)
    if not isinstance(value, bool | None):
        raise wrong(f"{field}.{name}", "must be true or false", value)
    return value


def timeout_of(value: object) -> float | None:
    """Return the seconds of a timeout in microseconds; None where there is none, which 0 says too."""
    if value is None:
        return None
    if not isinstance(value, int) or not are_sizes([value]):
        raise wrong("parameters.timeout", "must be microseconds as an integer of 0 or more", value)
    return min(value, LONGEST_TIMEOUT) * MICROSECONDS or None


def wrong(field: str, rule: str, value: object) -> InvalidInput:
    """Say that a member breaks a rule."""
    return InvalidInput(FieldError(field, f"{rule}. Received: {shown(value)}"))
