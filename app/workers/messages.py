"""What the supervisor and a worker tell each other: one JSON object a line, in a pipe that ends when either does."""

from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, Field, TypeAdapter

from app.settings import Settings

LONGEST_LINE = 2**24
"""A line names every version, with the reason of each that is UNAVAILABLE."""


class Assignment(BaseModel):
    """What a worker is started with: it reads this from its standard input."""

    number: int
    url: str
    settings: Settings
    pipe: int
    """The worker's end of the pipe, as all of these an inherited file descriptor."""
    channel: int
    """Where its connections come from."""
    log_lock: int
    """What it locks while it writes a line to the log."""
    sheets: tuple[int, ...] = ()
    """The metrics of all workers; it writes its own and reads the others."""


class Peers(BaseModel):
    """From the supervisor: the workers that are not ready, in words."""

    kind: Literal["peers"] = "peers"
    waiting: tuple[str, ...]


class Drain(BaseModel):
    """From the supervisor: finish what runs, then end. No connection comes after this."""

    kind: Literal["drain"] = "drain"


class Serving(BaseModel):
    """From a worker: it takes connections, though its models may still be loading."""

    kind: Literal["serving"] = "serving"


class Version(BaseModel):
    """The state of one version of one model."""

    name: str
    version: int
    state: str
    reason: str | None


class Loaded(BaseModel):
    """From a worker: every one of its versions is READY or UNAVAILABLE."""

    kind: Literal["loaded"] = "loaded"
    ready: bool
    versions: tuple[Version, ...]
    story: str
    """All of this in words, for whoever starts the server."""


class Leaving(BaseModel):
    """From a worker: it was asked to end, and wants no more connections."""

    kind: Literal["leaving"] = "leaving"


FromSupervisor: TypeAlias = Peers | Drain
FromWorker: TypeAlias = Serving | Loaded | Leaving
from_supervisor: TypeAdapter[FromSupervisor] = TypeAdapter(Annotated[FromSupervisor, Field(discriminator="kind")])
from_worker: TypeAdapter[FromWorker] = TypeAdapter(Annotated[FromWorker, Field(discriminator="kind")])


def line_of(message: FromSupervisor | FromWorker) -> bytes:
    """Write a message as one line."""
    return message.model_dump_json().encode() + b"\n"
