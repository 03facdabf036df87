"""What a plan's file tells of how the plan was proven."""

from dataclasses import dataclass

from gyoza.inference.checks import Check

__all__ = ["Proof"]


@dataclass(frozen=True)
class Proof:
    """How a plan was proven when it was made."""

    checks: tuple[Check, ...] = ()
    """What compared it with the flow's layers, and what that found."""
    flow_digest: str | None = None
    """The SHA-256 of the file that the flow was loaded from, in hexadecimal."""
