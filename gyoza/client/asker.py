"""What both clients are told, and what they are before they send anything."""

import copy
import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Self, TypedDict, get_args

import httpx

from gyoza.client.api import Api
from gyoza.client.boundary import headers_of
from gyoza.client.formats import FormatName
from gyoza.client.retries import Retries
from gyoza.client.targets import target_of

__all__ = ["TIMEOUT", "Asker", "Options", "signature_of"]

TIMEOUT = httpx.Timeout(60.0, connect=5.0)
"""Longer than the service takes before it answers that it took too long."""


class Options(TypedDict, total=False):
    """Keyword arguments of both clients."""

    model: str | None
    """Which model to ask; None: the server's default."""
    version: str | int | None
    """Which version of it; None: the highest one that is ready."""
    format: FormatName
    """``safetensors``, ``json`` (arrays in base64) or ``lists`` (JSON as people read it)."""
    api_key: str | None
    """Sent as ``Authorization: Bearer``."""
    headers: Mapping[str, str] | None
    """Further headers of every request."""
    retries: Retries
    """When to try again; ``Retries(count=0)`` for never."""
    rows_per_call: int | None
    """Of more rows, so many are sent at once; None: a batch of the service's, and less where rows are long. Parts that the
    service finds too large, perhaps for what they would bring back, are halved."""


class Asker:
    """Base of both clients: whom they ask, and how.

    Args:
        url: The server's address.
        options: How to ask.

    Raises:
        ValueError: The URL is none of HTTP, or an option is none.
    """

    def __init__(self, url: str, options: Options) -> None:
        """Check the options."""
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"url must begin with http:// or https://. Received: url={url!r}")
        self._url = url.rstrip("/")
        self._headers = headers_of(options.get("api_key"), options.get("headers"))
        self._api = api_of(options)

    def using(self, model: str | None, version: str | int | None = None) -> Self:
        """Return a client on the same connections that asks another model; closing either closes both."""
        other = copy.copy(self)
        other._api = replace(self._api, target=target_of(model, version))
        return other

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._url!r})"


def api_of(options: Options) -> Api:
    """Return the endpoints, asked as the options say."""
    return Api(
        target_of(options.get("model"), options.get("version")),
        options.get("format", "safetensors"),
        options.get("retries", Retries()),
        options.get("rows_per_call"),
    )


def signature_of(endpoint: Callable[..., Any]) -> inspect.Signature:
    """Return the signature of a client's method: that of its endpoint, but with what the flow returns in the end."""
    signature = inspect.signature(endpoint)
    *_, returned = get_args(signature.return_annotation)
    return signature.replace(return_annotation=returned)
