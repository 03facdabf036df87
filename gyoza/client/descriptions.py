"""What the service tells of its models."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Check", "Factor", "Layout", "Model", "ModelDetails", "Version"]

NOT_RECORDED = "not recorded"


@dataclass(frozen=True)
class Factor:
    """One named part of a code."""

    name: str
    start: int
    """Its first column in the code."""
    size: int
    description: str | None = None
    range: tuple[float, float] | None = None
    """The values that make sense for it, from and to."""

    @property
    def columns(self) -> slice:
        """Its columns in a code: ``codes[:, factor.columns]`` is [n, size]."""
        return slice(self.start, self.start + self.size)

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "Factor":
        """Read it."""
        limits = document.get("range")
        return cls(
            document["name"],
            document["start"],
            document["size"],
            document.get("description"),
            None if limits is None else (limits[0], limits[1]),
        )


@dataclass(frozen=True)
class Layout:
    """The factors of a code, in order."""

    size: int
    """D, the columns of a code."""
    factors: tuple[Factor, ...]
    model: str
    version: str

    def __getitem__(self, name: str) -> Factor:
        """Return a factor by its name."""
        return {factor.name: factor for factor in self.factors}[name]

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "Layout":
        """Read it."""
        factors = tuple(map(Factor.of, document["factors"]))
        return cls(document["size"], factors, document["model"], document["version"])


@dataclass(frozen=True)
class Version:
    """One version of a model."""

    version: str
    state: str
    """``LOADING``, ``READY`` or ``UNAVAILABLE``."""
    reason: str | None = None
    """Why it is not READY."""

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "Version":
        """Read it."""
        return cls(document["version"], document["state"], document.get("reason"))


@dataclass(frozen=True)
class Model:
    """One model; its state is its highest version's."""

    name: str
    state: str
    """``LOADING``, ``READY`` or ``UNAVAILABLE``."""
    reason: str | None
    """Why it is not READY."""
    versions: tuple[Version, ...]

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "Model":
        """Read it."""
        versions = tuple(map(Version.of, document["versions"]))
        return cls(document["name"], document["state"], document.get("reason"), versions)


@dataclass(frozen=True)
class Check:
    """A load check and its figures; None where there is none."""

    name: str
    passed: bool | None
    error: float | None
    limit: float | None

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "Check":
        """Read it."""
        known = recorded(document)
        return cls(document["name"], known.get("passed"), known.get("error"), known.get("limit"))


@dataclass(frozen=True)
class ModelDetails:
    """One model, and what is known of one version of it; None: it is not recorded."""

    model: Model
    version: str
    description: str | None
    latent_shape: tuple[int, ...] | None
    """Without the batch axis."""
    code_shape: tuple[int, ...] | None
    """Without the batch axis."""
    code_size: int | None
    dtype: str | None
    factors: tuple[Factor, ...] | None
    layers: int | None
    parameters: int | None
    files: Mapping[str, str] | None
    """File name to SHA-256."""
    libraries: Mapping[str, str] | None
    """Library to version."""
    checks: tuple[Check, ...] | None
    document: Mapping[str, Any]
    """All that the service tells, also what this client knows no name for."""

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "ModelDetails":
        """Read it."""
        known = recorded(document)
        same = ("description", "code_size", "dtype", "layers", "parameters", "files", "libraries")
        return cls(
            model=Model.of(document),
            version=document["version"],
            latent_shape=tuple_of(known.get("latent_shape")),
            code_shape=tuple_of(known.get("code_shape")),
            factors=tuple_of(known.get("factors"), Factor.of),
            checks=tuple_of(known.get("checks"), Check.of),
            document=document,
            **{name: known.get(name) for name in same},
        )


def recorded(document: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what is not recorded."""
    return {name: value for name, value in document.items() if value != NOT_RECORDED}


def tuple_of(values: Any, make: Any = lambda value: value) -> Any:
    """Make a tuple of a list, each value in it by ``make``; None stays None."""
    return None if values is None else tuple(map(make, values))
