"""What a process knows of the workers beside it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from app.repository import Control, Key, Known, OwnControl


def alone(own: OwnControl) -> Control:
    """Let a process that is alone load and unload for itself."""
    return own


@dataclass
class Peers:
    """The workers that serve on one port; nothing is known of them, and none is waited for, where there is only one."""

    waiting: Sequence[str] = ()
    """What is told of each worker that is not ready, such as ``worker 2 (process 4711) is loading``."""
    known: Mapping[Key, Known] | None = None
    """What they serve already; None: they begin together with this one."""
    control_of: Callable[[OwnControl], Control] = alone
    """Makes of what loads and unloads in this process what does so in all of them."""
