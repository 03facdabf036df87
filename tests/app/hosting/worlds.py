"""Hosted applications to ask, and a keeper of models as simple as can be."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp

from app.engine import Engine
from app.hosting.placement import Held, Hold


def note_threads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Note in how many threads each engine computes that is made from now on."""
    noted: list[int] = []

    def make(*, threads: int, **options: Any) -> Engine:
        noted.append(threads)
        return Engine(threads=threads, **options)

    monkeypatch.setattr("app.main.Engine", make)
    return noted


@asynccontextmanager
async def client_of(app: ASGIApp) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an ASGI application, which has begun."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        yield client


def keeping(most: int) -> Callable[[Hold], Hold]:
    """Keep the models that were asked for last; one is loaded after the other."""
    kept: OrderedDict[str, Held] = OrderedDict()
    turn = asyncio.Lock()

    def keep(load: Hold) -> Hold:
        async def hold(name: str) -> Held:
            async with turn:
                return await held(name)

        async def held(name: str) -> Held:
            if name not in kept:
                if len(kept) == most:
                    await kept.popitem(last=False)[1].end()
                kept[name] = await load(name)
            kept.move_to_end(name)
            return kept[name]

        return hold

    return keep
