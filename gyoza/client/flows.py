"""Calls as generators that do no input or output themselves: they yield steps, and are sent what came of each.

A client runs them: ``Client`` one step after the other, ``AsyncClient`` in an event loop. So all that the two have in
common, which is nearly everything, is written once.
"""

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from gyoza.client.messages import Request

__all__ = ["Flow", "Pause", "Step", "Together"]

T = TypeVar("T")


@dataclass(frozen=True)
class Pause:
    """Wait; nothing is sent back."""

    seconds: float


@dataclass(frozen=True)
class Together:
    """Run flows that need not wait for each other; the list of what they return, in their order, is sent back."""

    flows: "Iterable[Flow[Any]]"


Step: TypeAlias = Request | Pause | Together
"""For a request an ``Answer`` is sent back, or the ``GyozaClientError`` that came in its place."""
Flow: TypeAlias = Generator[Step, Any, T]
