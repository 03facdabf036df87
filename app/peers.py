"""What a process knows of the workers beside it."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass
class Peers:
    """The workers that serve on one port; nothing is known of them, and none is waited for, where there is only one."""

    waiting: Sequence[str] = ()
    """What is told of each worker that is not ready, such as ``worker 2 (process 4711) is loading``."""
