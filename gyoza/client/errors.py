"""What can go wrong, as a tree.

    GyozaClientError
    ├── UnsendableRequest           no request can be made of it: a URL without http://, a header with a line break
    ├── ConnectionFailed            no answer came: nobody listens, TLS failed, the connection broke
    │   └── NotTrusted              the certificate is none to trust, or another host's
    ├── TimedOut                    no answer came in the client's own time
    ├── UnexpectedAnswer            an answer came that is not the service's, such as a proxy's page
    └── ProblemError                the service says what is wrong
        ├── MalformedBody           400, the body can't be decoded
        ├── Unauthorized            401, an API key is needed
        ├── Forbidden               403, this is switched off, or not for this key
        ├── NotFound                404, no such path, model or version
        ├── MethodNotAllowed        405
        ├── Conflict                409, the model has no factor layout, encoder, decoder or examples
        ├── TooLarge                413, too many bytes or rows
        ├── UnsupportedMediaType    415
        ├── InvalidInput            422, the fields that are at fault are named
        ├── Overloaded              429, still so after every try
        ├── Internal                500, a bug of the service
        ├── NotReady                503, still so after every try
        └── DeadlineExceeded        504, no results within the service's time

What a caller passes and no server need see to refuse is a ``ValueError`` or a ``TypeError``, as everywhere in Python.
"""

# ruff: noqa: N818 - the names are those of the problems as the service has them, without "Error" behind each.

from dataclasses import dataclass
from typing import NamedTuple

__all__ = [
    "Conflict",
    "ConnectionFailed",
    "DeadlineExceeded",
    "FieldProblem",
    "Forbidden",
    "GyozaClientError",
    "Internal",
    "InvalidInput",
    "MalformedBody",
    "MethodNotAllowed",
    "NotFound",
    "NotReady",
    "NotTrusted",
    "Overloaded",
    "Problem",
    "ProblemError",
    "TimedOut",
    "TooLarge",
    "Unauthorized",
    "UnexpectedAnswer",
    "UnsendableRequest",
    "UnsupportedMediaType",
]


class FieldProblem(NamedTuple):
    """What is wrong with one field of a request."""

    field: str
    """The path of the field, such as ``latents[3][17]``."""
    message: str


@dataclass(frozen=True)
class Problem:
    """What the service says of something that is wrong, after RFC 9457."""

    kind: str
    """The last part of ``urn:gyoza:<kind>``, such as ``invalid-input``."""
    status: int
    title: str
    detail: str
    """What must hold, what was received, and what to do."""
    fields: tuple[FieldProblem, ...] = ()
    request_id: str | None = None
    """The one in the service's log."""
    retry_after: float | None = None
    """In seconds, where the service says when to try again."""


class GyozaClientError(Exception):
    """Base of all errors of a call."""


class UnsendableRequest(GyozaClientError):
    """No request can be made of what the client was given."""


class ConnectionFailed(GyozaClientError):
    """No answer came, and the connection is to blame."""


class NotTrusted(ConnectionFailed):
    """The certificate is none to trust, or that of another host."""


class TimedOut(GyozaClientError):
    """No answer came in the client's own time."""


class UnexpectedAnswer(GyozaClientError):
    """An answer came that is not the service's.

    Args:
        message: What came.
        status: Its status, where it has one.
        retry_after: In seconds, where it says when to try again.
    """

    def __init__(self, message: str, status: int | None = None, retry_after: float | None = None) -> None:
        """Keep the status apart from the text."""
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after


class ProblemError(GyozaClientError):
    """The service says what is wrong; of a kind that this client does not know, it is this class itself.

    Args:
        problem: What it says; each part is an attribute of the error as well.
    """

    def __init__(self, problem: Problem) -> None:
        """Keep the parts."""
        super().__init__(problem)
        self.problem = problem
        self.kind = problem.kind
        self.status = problem.status
        self.title = problem.title
        self.detail = problem.detail
        self.fields = problem.fields
        self.request_id = problem.request_id
        self.retry_after = problem.retry_after

    def __str__(self) -> str:
        """Return status, kind, detail and the id under which the service's log has more."""
        known = f" (request {self.request_id})" if self.request_id else ""
        return f"{self.status} {self.kind}: {self.detail or self.title}{known}"


class MalformedBody(ProblemError):
    """The bytes of the body are not what its content type says."""


class Unauthorized(ProblemError):
    """An API key is needed, and none that is known came."""


class Forbidden(ProblemError):
    """It is switched off, or the key may not do it."""


class NotFound(ProblemError):
    """There is no such path, model or version."""


class MethodNotAllowed(ProblemError):
    """The path is there, and another method is needed."""


class Conflict(ProblemError):
    """The model lacks what was asked of it, such as a factor layout, a decoder or examples."""


class TooLarge(ProblemError):
    """A limit of bytes or rows is passed; the detail states it."""


class UnsupportedMediaType(ProblemError):
    """The service reads no such content type or encoding."""


class InvalidInput(ProblemError):
    """The values break a rule; ``fields`` names those at fault."""


class Overloaded(ProblemError):
    """Too much is waiting there, also after every try."""


class Internal(ProblemError):
    """A bug of the service; its log has more under the request id."""


class NotReady(ProblemError):
    """It is loading, unavailable or about to end, also after every try."""


class DeadlineExceeded(ProblemError):
    """There were no results within the service's own time."""
