"""What the commands on files of rows do with some of the rows: encode them, split them into factors, invert them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from app.model import Model
from app.tensors import FactorLayout, log_likelihood
from gyoza.inference.plan import Floats
from gyoza.rows import RowsFile

__all__ = ["Work", "encoding", "inverting", "splitting"]

PREFIX = "factors."


@dataclass(frozen=True, eq=False)
class Work:
    """What is to be done with each chunk of rows."""

    alone: str
    """The one of what is computed that a ``.npy`` file gets."""
    inputs: Mapping[str, tuple[int, ...]]
    """Names and row shapes of what is read."""
    outputs: Mapping[str, tuple[int, ...]]
    """Names and row shapes of what is computed."""
    function: Callable[[Mapping[str, Floats]], Mapping[str, Floats]]


def encoding(model: Model, source: RowsFile) -> Work:
    """Latents to codes."""
    flow = model.flow
    require(source, {"latents": flow.latent_shape})

    def encode_rows(arrays: Mapping[str, Floats]) -> Mapping[str, Floats]:
        codes, logdet = flow.encode(arrays["latents"])
        return {"codes": codes, "logdet": logdet, "log_likelihood": log_likelihood(codes, logdet)}

    outputs = {"codes": flow.code_shape, "logdet": (), "log_likelihood": ()}
    return Work("codes", {"latents": flow.latent_shape}, outputs, encode_rows)


def splitting(model: Model, source: RowsFile) -> Work:
    """Latents to factors."""
    layout, whole = laid_out(model), encoding(model, source)

    def split_rows(arrays: Mapping[str, Floats]) -> Mapping[str, Floats]:
        known = dict(whole.function(arrays))
        blocks = layout.split(known.pop("codes"))
        return {**{PREFIX + name: block for name, block in blocks.items()}, **known}

    outputs = {PREFIX + factor.name: (factor.size,) for factor in layout.factors}
    return Work(whole.alone, whole.inputs, {**outputs, "logdet": (), "log_likelihood": ()}, split_rows)


def inverting(model: Model, source: RowsFile) -> Work:
    """Codes, or factors, to latents."""
    flow = model.flow
    given = [name for name in source.arrays if name.startswith(PREFIX)]
    if given and "codes" in source.arrays:
        raise ValueError(f"{source.path} must hold codes or factors, not both. Received: codes, {', '.join(given)}")
    if not given:
        require(source, {"codes": flow.code_shape})
        return Work(
            "latents",
            {"codes": flow.code_shape},
            {"latents": flow.latent_shape},
            lambda arrays: {"latents": flow.invert(arrays["codes"])},
        )
    layout = laid_out(model)
    inputs = {PREFIX + factor.name: (factor.size,) for factor in layout.factors}
    if unknown := [name for name in given if name not in inputs]:
        raise ValueError(f"{source.path} must hold {', '.join(inputs)}. Received: {', '.join(unknown)}")
    require(source, inputs)

    def join_rows(arrays: Mapping[str, Floats]) -> Mapping[str, Floats]:
        return {"latents": flow.invert(layout.join({name.removeprefix(PREFIX): arrays[name] for name in inputs}))}

    return Work("latents", inputs, {"latents": flow.latent_shape}, join_rows)


def laid_out(model: Model) -> FactorLayout:
    """Return the factors of a model."""
    if model.layout is None:
        raise ValueError(
            "MODEL must have factors, and this one names none; list them as [[factors]] in its flow.toml, such as by "
            "gyoza package --factors, or use codes"
        )
    return model.layout


def require(source: RowsFile, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse a file that lacks arrays, or whose arrays do not fit the flow or each other."""
    for name, shape in shapes.items():
        expected = ", ".join(["n", *map(str, shape)])
        if name not in source.arrays:
            there = ", ".join(source.arrays) or "no array of real numbers"
            raise ValueError(f"{source.path} must hold {name} of the shape [{expected}]. Received: {there}")
        if source.arrays[name].row_shape != shape or not len(source.arrays[name]):
            raise ValueError(
                f"{name} in {source.path} must have the shape [{expected}], n at least 1, for this model. "
                f"Received: {list(source.arrays[name].shape)}"
            )
    if len({len(source.arrays[name]) for name in shapes}) > 1:
        counts = ", ".join(f"{name} {len(source.arrays[name])}" for name in shapes)
        raise ValueError(f"The arrays in {source.path} must have as many rows each. Received: {counts}")
