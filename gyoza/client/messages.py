"""What goes over the wire, as values that know no HTTP library."""

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Answer", "Request"]


@dataclass(frozen=True)
class Request:
    """One request, its path below the server's address."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes = b""

    def __str__(self) -> str:
        """Return method and path."""
        return f"{self.method} {self.path}"


@dataclass(frozen=True)
class Answer:
    """One answer; what an ASGI application, a proxy or the service said."""

    status: int
    headers: Mapping[str, str]
    """Their names in lower case."""
    content: bytes = b""

    @property
    def media_type(self) -> str:
        """The content type without its parameters, in lower case."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()
