"""What the supervisor and a worker tell each other: one JSON object a line, in a pipe that ends when either does."""

from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, Field, TypeAdapter

from app.settings import Settings

Verb: TypeAlias = Literal["load", "unload"]
LONGEST_LINE = 2**24
"""A line names every version, with the reason of each that is UNAVAILABLE."""

BEAT_S = 1.0
"""So often a worker tells that it is alive."""


class Version(BaseModel):
    """The state of one version of one model."""

    name: str
    version: int
    state: str
    reason: str | None
    is_awaited: bool = True
    """Whether the server is ready only once this version is."""


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
    known: tuple[Version, ...] | None = None
    """What the others serve already; None: all are started together."""


class Peers(BaseModel):
    """From the supervisor: the workers that are not ready, in words."""

    kind: Literal["peers"] = "peers"
    waiting: tuple[str, ...]


class Draining(BaseModel):
    """From the supervisor: the server is about to end, and is not ready any more; go on for now."""

    kind: Literal["draining"] = "draining"


class Drain(BaseModel):
    """From the supervisor: finish what runs, then end. No connection comes after this."""

    kind: Literal["drain"] = "drain"


class Stop(BaseModel):
    """From the supervisor: end at once, and tell the log what is cut."""

    kind: Literal["stop"] = "stop"


class Serving(BaseModel):
    """From a worker: it takes connections, though its models may still be loading."""

    kind: Literal["serving"] = "serving"


class Loaded(BaseModel):
    """From a worker: every one of its versions is READY or UNAVAILABLE."""

    kind: Literal["loaded"] = "loaded"
    ready: bool
    versions: tuple[Version, ...]
    story: str
    """All of this in words, for whoever starts the server."""


class Alive(BaseModel):
    """From a worker, again and again: its loop turns."""

    kind: Literal["alive"] = "alive"
    fault: str | None
    """Which pass has not come back for too long."""


class Leaving(BaseModel):
    """From a worker: it was asked to end, and wants no more connections."""

    kind: Literal["leaving"] = "leaving"


class Ask(BaseModel):
    """From a worker: all workers should load or unload a model."""

    kind: Literal["ask"] = "ask"
    number: int
    """By which the worker knows the answer again."""
    verb: Verb
    model: str


class Order(BaseModel):
    """From the supervisor: load or unload a model."""

    kind: Literal["order"] = "order"
    number: int
    verb: Verb
    model: str


class Fault(BaseModel):
    """Why an order could not be done."""

    kind: Literal["conflict", "not found", "bug"]
    text: str


class Done(BaseModel):
    """From a worker: it is done with an order."""

    kind: Literal["done"] = "done"
    number: int
    fault: Fault | None = None
    serves: str = ""
    """A digest of every file that it serves of the model now."""


class Answered(BaseModel):
    """From the supervisor: all workers are done with what one of them asked for."""

    kind: Literal["answered"] = "answered"
    number: int
    fault: Fault | None = None


FromSupervisor: TypeAlias = Peers | Draining | Drain | Stop | Order | Answered
FromWorker: TypeAlias = Serving | Loaded | Alive | Leaving | Ask | Done
from_supervisor: TypeAdapter[FromSupervisor] = TypeAdapter(Annotated[FromSupervisor, Field(discriminator="kind")])
from_worker: TypeAdapter[FromWorker] = TypeAdapter(Annotated[FromWorker, Field(discriminator="kind")])


def line_of(message: FromSupervisor | FromWorker) -> bytes:
    """Write a message as one line."""
    return message.model_dump_json().encode() + b"\n"
