"""The client for event loops."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from functools import wraps
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar, Unpack

import httpx

from gyoza.client.api import Api
from gyoza.client.asker import TIMEOUT, Asker, Options, signature_of
from gyoza.client.boundary import answer_of, to_httpx, translated
from gyoza.client.errors import GyozaClientError
from gyoza.client.flows import Flow, Step, Together
from gyoza.client.messages import Answer, Request

__all__ = ["AsyncClient"]

P = ParamSpec("P")
T = TypeVar("T")
CONCURRENCY = 2
"""Parts of one call that are sent at once: while one is computed, the next one travels."""


def awaitable(
    endpoint: Callable[Concatenate[Api, P], Flow[T]],
) -> Callable[Concatenate["AsyncClient", P], Coroutine[Any, Any, T]]:
    """Make a method of an endpoint: it runs the endpoint's flow and returns what that returns."""

    @wraps(endpoint)
    async def method(client: "AsyncClient", /, *args: P.args, **keywords: P.kwargs) -> T:
        return await client._run(endpoint(client._api, *args, **keywords))

    method.__signature__ = signature_of(endpoint)  # type: ignore[attr-defined]
    return method


class AsyncClient(Asker):
    """Asks a gyoza service from asyncio, with NumPy arrays in and out.

    Args:
        url: The server's address, such as ``http://127.0.0.1:8000``.
        timeout: Seconds for each request, or an ``httpx.Timeout``.
        transport: By which httpx sends what it sends.
        http_client: An ``httpx.AsyncClient`` to use instead of one of its own; whoever made it closes it, and its timeouts
            hold.
        concurrency: So many parts of one call are sent at once. What is more than the service's queue holds, 2,048 rows
            unless it is told otherwise, is sent away there and tried again.
        **options: See ``gyoza.client.asker.Options``: ``model``, ``version``, ``format``, ``api_key``, ``headers``,
            ``retries``, ``rows_per_call``.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout: float | httpx.Timeout = TIMEOUT,
        transport: httpx.AsyncBaseTransport | None = None,
        http_client: httpx.AsyncClient | None = None,
        concurrency: int = CONCURRENCY,
        **options: Unpack[Options],
    ) -> None:
        """Connect to nothing yet."""
        if concurrency < 1:
            raise ValueError(f"concurrency must be 1 or more. Received: concurrency={concurrency}")
        super().__init__(url, options)
        self._concurrency, self._is_own = concurrency, http_client is None
        self._http = http_client or httpx.AsyncClient(timeout=timeout, transport=transport)

    encode = awaitable(Api.encode)
    factors = awaitable(Api.factors)
    layout = awaitable(Api.layout)
    invert = awaitable(Api.invert)
    edit = awaitable(Api.edit)
    traverse = awaitable(Api.traverse)
    sample = awaitable(Api.sample)
    latents = awaitable(Api.latents)
    decode = awaitable(Api.decode)
    examples = awaitable(Api.examples)
    models = awaitable(Api.models)
    model = awaitable(Api.model)
    load = awaitable(Api.load)
    unload = awaitable(Api.unload)
    is_alive = awaitable(Api.is_alive)
    is_ready = awaitable(Api.is_ready)

    async def aclose(self) -> None:
        """Close the connections, unless they were given."""
        if self._is_own:
            await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _run(self, flow: Flow[T]) -> T:
        outcome: Any = None
        while True:
            try:
                step = flow.send(outcome)
            except StopIteration as stop:
                value: T = stop.value
                return value
            outcome = await self._done(step)

    async def _done(self, step: Step) -> Any:
        if isinstance(step, Request):
            return await self._sent(step)
        if isinstance(step, Together):
            return await self._together(step)
        return await asyncio.sleep(step.seconds)

    async def _sent(self, request: Request) -> Answer | GyozaClientError:
        try:
            with translated(request, self._url):
                return answer_of(await self._http.request(**to_httpx(request, self._url, self._headers)))
        except GyozaClientError as error:
            return error

    async def _together(self, step: Together) -> list[Any]:
        """Run flows, a few at once; the first error ends them all."""
        results: dict[int, Any] = {}
        numbered = iter(enumerate(step.flows))
        tasks = [asyncio.create_task(self._take(numbered, results)) for _ in range(self._concurrency)]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return [results[number] for number in sorted(results)]

    async def _take(self, numbered: Iterator[tuple[int, Flow[Any]]], results: dict[int, Any]) -> None:
        """Run flows of an iterator that others take from too."""
        for number, flow in numbered:
            results[number] = await self._run(flow)
