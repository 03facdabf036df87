"""The client that waits for its answers."""

import time
from collections.abc import Callable
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

__all__ = ["Client"]

P = ParamSpec("P")
T = TypeVar("T")


def waiting(endpoint: Callable[Concatenate[Api, P], Flow[T]]) -> Callable[Concatenate["Client", P], T]:
    """Make a method of an endpoint: it runs the endpoint's flow and returns what that returns."""

    @wraps(endpoint)
    def method(client: "Client", /, *args: P.args, **keywords: P.kwargs) -> T:
        return client._run(endpoint(client._api, *args, **keywords))

    method.__signature__ = signature_of(endpoint)  # type: ignore[attr-defined]
    return method


class Client(Asker):
    """Asks a gyoza service, with NumPy arrays in and out; safe to share between threads.

    Args:
        url: The server's address, such as ``http://127.0.0.1:8000``.
        timeout: Seconds for each request, or an ``httpx.Timeout``.
        transport: By which httpx sends what it sends.
        http_client: An ``httpx.Client`` to use instead of one of its own; whoever made it closes it, and its timeouts hold.
        **options: See ``gyoza.client.asker.Options``: ``model``, ``version``, ``format``, ``api_key``, ``headers``,
            ``retries``, ``rows_per_call``.

    Example:
        >>> with Client("http://127.0.0.1:8000", model="digits") as client:
        ...     print(client)
        Client('http://127.0.0.1:8000')
    """

    def __init__(
        self,
        url: str,
        *,
        timeout: float | httpx.Timeout = TIMEOUT,
        transport: httpx.BaseTransport | None = None,
        http_client: httpx.Client | None = None,
        **options: Unpack[Options],
    ) -> None:
        """Connect to nothing yet."""
        super().__init__(url, options)
        self._is_own = http_client is None
        self._http = http_client or httpx.Client(timeout=timeout, transport=transport)

    encode = waiting(Api.encode)
    factors = waiting(Api.factors)
    layout = waiting(Api.layout)
    invert = waiting(Api.invert)
    edit = waiting(Api.edit)
    traverse = waiting(Api.traverse)
    sample = waiting(Api.sample)
    latents = waiting(Api.latents)
    decode = waiting(Api.decode)
    examples = waiting(Api.examples)
    models = waiting(Api.models)
    model = waiting(Api.model)
    load = waiting(Api.load)
    unload = waiting(Api.unload)
    is_alive = waiting(Api.is_alive)
    is_ready = waiting(Api.is_ready)

    def close(self) -> None:
        """Close the connections, unless they were given."""
        if self._is_own:
            self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, flow: Flow[T]) -> T:
        outcome: Any = None
        while True:
            try:
                step = flow.send(outcome)
            except StopIteration as stop:
                value: T = stop.value
                return value
            outcome = self._done(step)

    def _done(self, step: Step) -> Any:
        if isinstance(step, Request):
            return self._sent(step)
        if isinstance(step, Together):
            return [self._run(flow) for flow in step.flows]
        return time.sleep(step.seconds)

    def _sent(self, request: Request) -> Answer | GyozaClientError:
        try:
            with translated(request, self._url):
                return answer_of(self._http.request(**to_httpx(request, self._url, self._headers)))
        except GyozaClientError as error:
            return error
