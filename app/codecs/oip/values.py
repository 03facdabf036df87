"""What a request asks for, before there are arrays."""

from collections.abc import Sequence
from typing import NamedTuple

from app.errors import FieldError, InvalidInput


class Input(NamedTuple):
    """One tensor of a request."""

    name: str
    datatype: str
    """As the client names it."""
    shape: tuple[int, ...]
    data: object
    """A memoryview of its bytes, little-endian in C order; else what JSON had: lists, or the array of their numbers."""
    size: int | None = None
    """So many bytes it has behind the JSON; None where it is in the JSON."""


class Output(NamedTuple):
    """One tensor that is wanted."""

    name: str
    binary: bool | None = None
    """Whether as bytes; None: as the request says for all."""


class InferRequest(NamedTuple):
    """A request."""

    id: str | None = None
    inputs: tuple[Input, ...] = ()
    outputs: tuple[Output, ...] = ()
    """Those that are wanted; none stands for all."""
    binary: bool = False
    """Whether outputs of which nothing else is said are wanted as bytes."""
    timeout_s: float | None = None
    """So long the client waits, where it says so."""
    raw: memoryview | None = None
    """The bytes of the one input, where there is no JSON at all."""

    def wanted(self, known: Sequence[str]) -> dict[str, bool]:
        """Return the outputs that are wanted in order, and whether each as bytes.

        Args:
            known: The outputs that there are.

        Raises:
            InvalidInput: Another one is wanted.
        """
        if self.raw is not None:
            return dict.fromkeys(known, True)
        if not self.outputs:
            return dict.fromkeys(known, self.binary)
        for name, _ in self.outputs:
            if name not in known:
                raise InvalidInput(FieldError("outputs", f"must be among {', '.join(known)}. Received: {name}"))
        return {name: self.binary if binary is None else binary for name, binary in self.outputs}
