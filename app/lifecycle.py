"""Where a process is between its start and its end."""

from dataclasses import dataclass


@dataclass
class Lifecycle:
    """What requests and servers need to know of it."""

    loaded: bool = False
    """Whether every model was loaded, or refused, once."""
    draining: bool = False
    """Whether it was asked to end: it is not ready any more, and each answer is the last one on its connection."""
