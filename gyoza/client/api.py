"""Every endpoint as a function from its arguments to a flow: what ``Client`` and ``AsyncClient`` have in common."""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from numpy.typing import ArrayLike

from gyoza.client.arrays import as_rows
from gyoza.client.axes import Axis
from gyoza.client.calls import Call, counted, described, made, read, result, split, whole
from gyoza.client.descriptions import Layout, Model, ModelDetails
from gyoza.client.edits import Edit, documents
from gyoza.client.exchange import probe
from gyoza.client.flows import Flow
from gyoza.client.formats import FORMATS, JSON, SAFETENSORS, Fields, FormatName
from gyoza.client.messages import Request
from gyoza.client.progress import Counter, Progress
from gyoza.client.results import (
    Change,
    Decoded,
    Edited,
    Embedded,
    Encoded,
    Examples,
    Factors,
    Inverted,
    Sampled,
    Traversed,
)
from gyoza.client.retries import Retries
from gyoza.client.splitting import MOST_BYTES, MOST_ROWS, parts, row_bytes, row_count
from gyoza.client.targets import Target, target_of

__all__ = ["Api"]

T = TypeVar("T")


@dataclass(frozen=True)
class Api:
    """The endpoints, asked in one way."""

    target: Target = field(default_factory=Target)
    format: FormatName = "safetensors"
    retries: Retries = field(default_factory=Retries)
    rows_per_call: int | None = None

    def __post_init__(self) -> None:
        """Refuse a format that there is not, and parts of no rows."""
        if self.format not in FORMATS:
            raise ValueError(f"format must be one of {', '.join(FORMATS)}. Received: format={self.format!r}")
        if self.rows_per_call is not None and self.rows_per_call < 1:
            raise ValueError(f"rows_per_call must be 1 or more. Received: rows_per_call={self.rows_per_call}")

    def encode(self, latents: ArrayLike, *, progress: Progress = False) -> Flow[Encoded]:
        """Map latents to codes.

        Args:
            latents: [n, *latent_shape]; many rows are sent in parts.
            progress: True for a bar on standard error, or a function of the rows that are done and all rows.

        Returns:
            ``codes`` [n, *code_shape], ``logdet`` [n], ``log_likelihood`` [n].

        Raises:
            GyozaClientError: See ``gyoza.client.errors``.
        """
        return self._rows("encode", Encoded, {"latents": as_rows(latents, "latents")}, {}, progress)

    def factors(self, latents: ArrayLike, *, progress: Progress = False) -> Flow[Factors]:
        """Map latents to their factors.

        Args:
            latents: [n, *latent_shape]; many rows are sent in parts.
            progress: True for a bar on standard error, or a function of the rows that are done and all rows.

        Returns:
            ``factors``, each [n, its size] by its name, ``logdet`` [n], ``log_likelihood`` [n].

        Raises:
            GyozaClientError: See ``gyoza.client.errors``; ``Conflict`` where the model has no factor layout.
        """
        return self._rows("factors", Factors, {"latents": as_rows(latents, "latents")}, {}, progress)

    def layout(self) -> Flow[Layout]:
        """Ask which factors a code has: name, start, size, description and range of each, in order.

        Raises:
            GyozaClientError: See ``gyoza.client.errors``; ``Conflict`` where the model has no factor layout.
        """
        return self._read(Request("GET", self.target.path("/factors")), Layout.of)

    def invert(
        self,
        codes: ArrayLike | Mapping[str, ArrayLike],
        *,
        check: bool = False,
        decode: bool = False,
        progress: Progress = False,
    ) -> Flow[Inverted]:
        """Map codes, or factors, back to latents.

        Args:
            codes: [n, *code_shape]; or every factor by its name, [n, its size], as ``factors`` returns them.
            check: Whether to ask for the error of the way there and back.
            decode: Whether to ask for outputs of the model's decoder.
            progress: True for a bar on standard error, or a function of the rows that are done and all rows.

        Returns:
            ``latents`` [n, *latent_shape]; ``round_trip_error`` [n] and ``outputs`` [n, …] where they are asked for.

        Raises:
            GyozaClientError: See ``gyoza.client.errors``.
        """
        fields: dict[str, Any]
        if isinstance(codes, Mapping):
            if not codes:
                raise ValueError("codes must hold every factor by its name. Received: none")
            fields = {"factors": {name: as_rows(factor, f"factors.{name}") for name, factor in codes.items()}}
        else:
            fields = {"codes": as_rows(codes, "codes")}
        return self._rows("invert", Inverted, fields, switches(check=check, decode=decode), progress)

    def edit(self, latents: ArrayLike, *edits: Edit, decode: bool = False, progress: Progress = False) -> Flow[Edited]:
        """Edit factors of latents.

        Args:
            latents: [n, *latent_shape]. Many rows are sent in parts, but with ``sample`` among the edits in one: its
                draws are one stream.
            *edits: From ``gyoza.client.edits``; they apply in order.
            decode: Whether to ask for outputs of the model's decoder.
            progress: True for a bar on standard error, or a function of the rows that are done and all rows.

        Returns:
            ``latents`` [n, *latent_shape], ``codes`` [n, *code_shape], ``log_likelihood.before`` and ``.after`` [n],
            ``round_trip_error`` [n]; ``outputs`` [n, …] where they are asked for.

        Raises:
            GyozaClientError: See ``gyoza.client.errors``.
        """
        fields = {"latents": as_rows(latents, "latents"), "edits": documents(edits)}
        is_whole = any(edit.operation == "sample" for edit in edits)
        flow = self._fields("edit", fields, switches(decode=decode), progress, is_whole=is_whole)
        return edited(flow)

    def traverse(self, latents: ArrayLike, *axes: Axis, decode: bool = False) -> Flow[Traversed]:
        """Set one or two dimensions of factors to values in even steps.

        Args:
            latents: [1, *latent_shape].
            *axes: One or two.
            decode: Whether to ask for outputs of the model's decoder.

        Returns:
            ``positions`` [m, axes], ``latents`` [m, *latent_shape], m the product of all steps, in C order over the axes;
            ``outputs`` [m, …] where they are asked for.

        Raises:
            GyozaClientError: See ``gyoza.client.errors``.
        """
        fields = {"latents": as_rows(latents, "latents"), "axes": [axis.document for axis in axes]}
        return result(Traversed, whole(self._call("traverse", switches(decode=decode)), self.target, fields))

    def sample(
        self,
        count: int,
        *,
        seed: int | None = None,
        factors: Mapping[str, ArrayLike] | None = None,
        decode: bool = False,
    ) -> Flow[Sampled]:
        """Draw codes from N(0, I) and map them to latents, in one request: the draws are one stream.

        Args:
            count: How many.
            seed: The same one draws the same; None: the service draws one, and returns it.
            factors: Values [count, its size] or [1, its size] of factors that are not drawn.
            decode: Whether to ask for outputs of the model's decoder.

        Returns:
            ``seed``, ``latents`` [count, *latent_shape], ``codes`` [count, *code_shape], ``log_likelihood`` [count];
            ``outputs`` [count, …] where they are asked for. Without ``factors`` the service sends lists of numbers, which
            become float64.

        Raises:
            GyozaClientError: See ``gyoza.client.errors``.
        """
        fields: dict[str, Any] = {"count": operator.index(count)}
        if seed is not None:
            fields["seed"] = operator.index(seed)
        if factors:
            fields["factors"] = {name: as_rows(factor, f"factors.{name}") for name, factor in factors.items()}
        return result(Sampled, whole(self._call("sample", switches(decode=decode)), self.target, fields))

    def latents(self, inputs: ArrayLike, *, progress: Progress = False) -> Flow[Embedded]:
        """Map inputs to latents by the model's encoder.

        Args:
            inputs: [n, *input_shape]; many rows are sent in parts.
            progress: True for a bar on standard error, or a function of the rows that are done and all rows.

        Returns:
            ``latents`` [n, *latent_shape].

        Raises:
            GyozaClientError: See ``gyoza.client.errors``; ``Conflict`` where the model has no encoder.
        """
        return self._rows("latents", Embedded, {"inputs": as_rows(inputs, "inputs")}, {}, progress)

    def decode(self, latents: ArrayLike, *, progress: Progress = False) -> Flow[Decoded]:
        """Map latents to outputs by the model's decoder.

        Args:
            latents: [n, *latent_shape]; many rows are sent in parts.
            progress: True for a bar on standard error, or a function of the rows that are done and all rows.

        Returns:
            ``outputs`` [n, *output_shape].

        Raises:
            GyozaClientError: See ``gyoza.client.errors``; ``Conflict`` where the model has no decoder.
        """
        return self._rows("decode", Decoded, {"latents": as_rows(latents, "latents")}, {}, progress)

    def examples(self) -> Flow[Examples]:
        """Ask for a few latents that ship with the model.

        Returns:
            ``latents`` [n, *latent_shape], and ``inputs`` [n, *input_shape] where there are some.

        Raises:
            GyozaClientError: See ``gyoza.client.errors``; ``Conflict`` where the model ships none.
        """
        accept = f"{SAFETENSORS}, {JSON};q=0.5" if self.format == "safetensors" else JSON
        request = Request("GET", self.target.path("/examples"), headers={"accept": accept})
        return result(Examples, read(request, self.retries))

    def models(self) -> Flow[tuple[Model, ...]]:
        """List every model found, with its versions, states and reasons.

        Raises:
            GyozaClientError: See ``gyoza.client.errors``.
        """
        return self._read(
            Request("GET", "/models"), lambda document: tuple(Model.of(item) for item in document["models"])
        )

    def model(self, name: str | None = None, version: str | int | None = None) -> Flow[ModelDetails]:
        """Ask what is known of a model: shapes, dtype, factors, digests, load checks.

        Args:
            name: None: the client's own.
            version: None: the client's own, or the highest one that is ready.

        Raises:
            ValueError: Neither is there.
            GyozaClientError: See ``gyoza.client.errors``.
        """
        target = self.target if name is None else target_of(name, version)
        if target.model is None:
            raise ValueError(
                'A model must be named, as in model("digits") or Client(…, model="digits"). Received: none'
            )
        return self._read(Request("GET", target.path()), ModelDetails.of)

    def load(self, name: str) -> Flow[Model]:
        """Load a model anew from its folder, for admins where the service allows it.

        Raises:
            GyozaClientError: See ``gyoza.client.errors``.
        """
        return self._read(Request("POST", Target(name).path("/load")), Model.of)

    def unload(self, name: str) -> Flow[Model]:
        """Unload a model, for admins where the service allows it.

        Raises:
            GyozaClientError: See ``gyoza.client.errors``.
        """
        return self._read(Request("POST", Target(name).path("/unload")), Model.of)

    def is_alive(self) -> Flow[bool]:
        """Tell whether the service answers; asked once, and False where nobody does."""
        return probe(Request("GET", "/livez"))

    def is_ready(self) -> Flow[bool]:
        """Tell whether the service can be asked: its models are ready; asked once, and False where nobody answers."""
        return probe(Request("GET", "/readyz"))

    def _call(self, endpoint: str, query: Mapping[str, str]) -> Call:
        is_json = endpoint in {"edit", "traverse", "sample"} and self.format == "safetensors"
        return Call(f"/{endpoint}", FORMATS["json" if is_json else self.format], self.retries, query)

    def _rows(
        self, endpoint: str, make: type[T], fields: Fields, query: Mapping[str, str], progress: Progress
    ) -> Flow[T]:
        return result(make, self._fields(endpoint, fields, query, progress))

    def _fields(
        self, endpoint: str, fields: Fields, query: Mapping[str, str], progress: Progress, *, is_whole: bool = False
    ) -> Flow[dict[str, Any]]:
        call, rows = self._call(endpoint, query), row_count(fields)
        counter = Counter(rows, progress)
        if is_whole:
            return counted(whole(call, self.target, fields), counter, rows)
        most = self.rows_per_call or min(MOST_ROWS, max(1, int(MOST_BYTES / row_bytes(fields, rows, call.format))))
        return split(call, self.target, fields, parts(rows, most), counter)

    def _read(self, request: Request, of: Callable[[Any], T]) -> Flow[T]:
        return described(request, self.retries, of)


def edited(flow: Flow[dict[str, Any]]) -> Flow[Edited]:
    """Make the result of edits."""
    fields = yield from flow
    return made(Edited, {**fields, "log_likelihood": made(Change, fields.get("log_likelihood", {}))})


def switches(**given: bool) -> dict[str, str]:
    """Return the query parameters that are switched on."""
    return {name: "true" for name, value in given.items() if value}
