"""What can go wrong, in words that know no HTTP; ``app.api.error_handlers`` gives each its status.

    GyozaError
    ├── MalformedRequest        it is no HTTP, or HTTP that can be read in two ways
    ├── SlowHead                its head takes too long to arrive
    ├── HeadTooLarge            its head has too many bytes or headers
    ├── MalformedBody           the bytes are not what the content type says
    ├── InvalidInput            the values break a rule; lists the fields
    ├── TooLarge                a limit of size or rows is passed
    ├── UnsupportedMediaType    nobody here reads that content type or encoding
    ├── Unauthorized            a key is needed, and none that is known came
    ├── Forbidden               it is switched off, or the client may not do it
    ├── NotFound                no such path, model or version
    ├── Conflict                the model lacks what was asked of it
    └── TryLater                nothing wrong with the request; holds when to try again
        ├── Overloaded          the queue is full
        ├── NotReady            loading, unavailable or draining
        └── DeadlineExceeded    no answer within the request's deadline

Beside the tree stand ``UnloadableModel``, which no request meets: its text becomes the reason of an UNAVAILABLE version;
and ``PassFailed``, a bug that the log tells of already.
"""

# ruff: noqa: N818 - the names are those of the problems that clients see, without "Error" behind each.

from dataclasses import dataclass

MOST_NAMED = 10
"""So many faults of a request are told one by one."""


def sendable(text: str) -> str:
    """Return a text that can be sent: lone surrogates, of lenient JSON or of odd paths, become question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")


@dataclass(frozen=True)
class FieldError:
    """What is wrong with one field of a request."""

    field: str
    """The path of the field, such as ``latents[3][17]``."""
    message: str


class GyozaError(Exception):
    """Base of all errors that a client is told of. Its text says what must hold, what was received, what to do."""


class MalformedRequest(GyozaError):
    """The request is no HTTP, or HTTP that two servers might read in two ways."""


class SlowHead(GyozaError):
    """The head of the request takes too long to arrive."""


class HeadTooLarge(GyozaError):
    """The head of the request has too many bytes or headers; the text states the limits."""


class MalformedBody(GyozaError):
    """The bytes of the body are not what its content type says."""


class InvalidInput(GyozaError):
    """The values break a rule.

    Args:
        *errors: One for each field that is at fault.
    """

    def __init__(self, *errors: FieldError) -> None:
        """Join the messages of the first fields to the text; a body with many faults gets no long answer."""
        self.errors = errors[:MOST_NAMED]
        text = "; ".join(f"{error.field}: {error.message}" for error in self.errors)
        super().__init__(text if len(errors) <= MOST_NAMED else f"{text}; … ({len(errors)} in all)")


class TooLarge(GyozaError):
    """A limit of size or rows is passed; the text states the limit."""


class UnsupportedMediaType(GyozaError):
    """Nobody here reads that content type or encoding; the text states which are read."""


class Unauthorized(GyozaError):
    """A key is needed, and none that is known came; the text says how to send one."""


class Forbidden(GyozaError):
    """It is switched off, or the client may not do it; the text says how that would change."""


class NotFound(GyozaError):
    """No such path, model or version; the text lists what exists."""


class Conflict(GyozaError):
    """The model lacks what was asked of it; the text says how to add it."""


class TryLater(GyozaError):
    """Nothing is wrong with the request, only with the moment."""

    def __init__(self, message: str, retry_after: int = 1) -> None:
        """Keep the whole seconds after which trying again makes sense."""
        super().__init__(message)
        self.retry_after = retry_after


class Overloaded(TryLater):
    """The queue is full."""


class NotReady(TryLater):
    """What is asked for is loading, unavailable or draining."""


class DeadlineExceeded(TryLater):
    """There was no answer within the request's deadline."""


class UnloadableModel(Exception):
    """A model's files are not as they must be, or its flow did not pass the load checks; the text says why."""


class PassFailed(Exception):
    """A pass through a flow raised an error, which is in the log once for all requests whose rows were in it."""
