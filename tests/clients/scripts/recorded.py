"""A client that remembers which of its calls were made, so that a script can tell that it left none out."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Recorded:
    """A client, and the names of what was used of it."""

    client: Any
    used: set[str] = field(default_factory=set)

    def __getattr__(self, name: str) -> Any:
        """Hand out what the client has, and remember that."""
        self.used.add(name)
        return getattr(self.client, name)

    def check(self) -> None:
        """Require that every public call was made."""
        missed = {name for name in dir(self.client) if not name.startswith("_")} - self.used
        assert not missed, f"calls that the script leaves out: {sorted(missed)}"
