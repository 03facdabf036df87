"""The three models that each flow appears as: one table of what they take, do and give."""

from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

from app.api.call import Call, layout_of
from app.errors import Conflict, NotFound
from app.model import Model
from app.primitives import Primitive
from app.repository import Entry, Repository
from gyoza.inference.plan import Floats

Shapes: TypeAlias = Mapping[str, tuple[int, ...]]
"""The names of tensors to the shape of one row."""
Path: TypeAlias = Mapping[str, Any]
"""The parameters of a path: model, and perhaps version."""
PER_ROW: Shapes = MappingProxyType({"logdet": (), "log_likelihood": ()})


@dataclass(frozen=True)
class Operation:
    """What one of the three models does."""

    name: str
    input: str
    primitive: Primitive
    """Through whose queue it goes."""
    run: Callable[[Call, Floats], Coroutine[Any, Any, Mapping[str, Floats]]]
    """Rows of the input to the outputs."""
    outputs: Callable[[Entry, Model], Shapes]

    def row_shape(self, model: Model) -> tuple[int, ...]:
        """Return the shape of one row of the input."""
        return model.flow.latent_shape if self.primitive is Primitive.ENCODE else model.flow.code_shape


async def encode(call: Call, latents: Floats) -> Mapping[str, Floats]:
    """Map latents to codes."""
    return await call.encode(latents)


async def factors(call: Call, latents: Floats) -> Mapping[str, Floats]:
    """Map latents to factors, each an output of its own."""
    results = await call.encode(latents)
    return {**call.layout.split(results.pop("codes")), **results}


async def invert(call: Call, codes: Floats) -> Mapping[str, Floats]:
    """Map codes to latents."""
    return await call.invert(codes, "codes")


def encoded(_: Entry, model: Model) -> Shapes:
    """Return the outputs of encode."""
    return {"codes": model.flow.code_shape, **PER_ROW}


def factored(entry: Entry, model: Model) -> Shapes:
    """Return the outputs of factors; a model without a layout is a conflict."""
    return {**{factor.name: (factor.size,) for factor in layout_of(entry, model).factors}, **PER_ROW}


def inverted(_: Entry, model: Model) -> Shapes:
    """Return the outputs of invert."""
    return {"latents": model.flow.latent_shape}


OPERATIONS: Mapping[str, Operation] = MappingProxyType(
    {
        operation.name: operation
        for operation in (
            Operation("encode", "latents", Primitive.ENCODE, encode, encoded),
            Operation("factors", "latents", Primitive.ENCODE, factors, factored),
            Operation("invert", "codes", Primitive.INVERT, invert, inverted),
        )
    }
)


class Found(NamedTuple):
    """What a path means."""

    name: str
    operation: Operation
    entry: Entry
    model: Model
    outputs: Shapes
    """Those that there are."""

    @property
    def row_shape(self) -> tuple[int, ...]:
        """The shape of one row of the input."""
        return self.operation.row_shape(self.model)


def split(name: str) -> tuple[str, Operation | None]:
    """Take a model's name apart to the flow and the operation, None where it is that of no operation."""
    flow, _, suffix = name.rpartition(".")
    return flow, OPERATIONS.get(suffix)


def unknown(name: str, repository: Repository, error: NotFound | None = None) -> NotFound:
    """Say that there is no such model, or what else was not found of it, in the words that clients look for."""
    names = names_of(repository)
    if error is not None and name in names:
        return NotFound(f"Request for unknown model: {error}")
    return NotFound(
        f"Request for unknown model: there is no {name!r}. Models that exist: {', '.join(names) or 'none'}. Name one of "
        "them, or put a model into the folder of GYOZA_MODELS_DIR."
    )


def entry_of(repository: Repository, path: Path) -> tuple[Operation, Entry]:
    """Return the operation and the entry that a path means, whatever its state.

    Raises:
        NotFound: There is no such model or version.
    """
    flow, operation = split(path["model"])
    if operation is None:
        raise unknown(path["model"], repository)
    try:
        return operation, repository.find(flow, path.get("version"))
    except NotFound as error:
        raise unknown(path["model"], repository, error) from error


def ready(repository: Repository, path: Path) -> Found:
    """Return what a path means.

    Raises:
        NotFound: There is no such model or version.
        NotReady: It is not READY.
        Conflict: The flow lacks what the model needs.
    """
    name: str = path["model"]
    flow, operation = split(name)
    if operation is None:
        raise unknown(name, repository)
    try:
        entry, model = repository.ready(flow, path.get("version"))
    except NotFound as error:
        raise unknown(name, repository, error) from error
    return Found(name, operation, entry, model, operation.outputs(entry, model))


def served(repository: Repository) -> Iterator[tuple[str, Operation, Entry]]:
    """Yield every model of every version found, with its name."""
    for entry in repository.entries:
        for operation in OPERATIONS.values():
            yield f"{entry.name}.{operation.name}", operation, entry


def names_of(repository: Repository) -> list[str]:
    """Return every name, each once, in order."""
    return [*dict.fromkeys(name for name, *_ in served(repository))]


def lack_of(operation: Operation, entry: Entry) -> str | None:
    """Say what a READY version lacks for an operation; None where it lacks nothing, or is not READY."""
    if entry.model is None:
        return None
    try:
        operation.outputs(entry, entry.model)
    except Conflict as error:
        return str(error)
    return None
