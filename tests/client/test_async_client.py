"""The client for event loops, against the application."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from gyoza.client import AsyncClient, InvalidInput, Retries, TimedOut
from tests.app.worlds import LATENTS, LOCATION, SCALE, app_of, client_of, put, rows
from tests.client.scripted import ENCODED, encoded, problem


@pytest.fixture
async def http(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """What asks an application that serves one model."""
    put(tmp_path)
    async with client_of(app_of(tmp_path)) as found:
        yield found


async def test_it_asks_what_the_other_asks(http: httpx.AsyncClient) -> None:
    """Calls are awaited, and their results are the same."""
    async with AsyncClient("http://test", http_client=http) as client:
        assert await client.is_alive()
        assert await client.is_ready()
        found = await client.factors(LATENTS)
        back = await client.invert(found.factors, check=True)
        np.testing.assert_allclose(back.latents, LATENTS, atol=1e-6)
        assert (await client.layout()).size == 4
        assert [model.name for model in await client.models()] == ["tiny"]
        assert (await client.using("tiny", "1").model()).version == "1"
    assert not http.is_closed


async def test_many_rows_come_back_in_their_order(http: httpx.AsyncClient) -> None:
    """Parts that are sent at once are put together as if they had been sent one by one."""
    latents = rows(1001).astype(np.float32)
    told: list[tuple[int, int]] = []
    client = AsyncClient("http://test", http_client=http, rows_per_call=10, concurrency=4)
    found = await client.encode(latents, progress=lambda done, total: told.append((done, total)))
    np.testing.assert_allclose(found.codes, SCALE * (latents - LOCATION), rtol=1e-5, atol=1e-5)
    assert len(told) == 101
    assert told[-1] == (1001, 1001)


async def test_no_more_parts_at_once_than_was_said() -> None:
    """As many parts are on their way as there may be, never more, and late answers change no order."""
    under_way, most = 0, 0

    async def answer(request: httpx.Request) -> httpx.Response:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        row = float(request.content.split(b"[[")[1].split(b"]]")[0])
        for _ in range(int(row) % 3):
            await asyncio.sleep(0)
        under_way -= 1
        return httpx.Response(200, json={**ENCODED, "codes": [[row]]})

    transport = httpx.MockTransport(answer)
    async with AsyncClient(
        "http://here", transport=transport, rows_per_call=1, concurrency=3, format="lists"
    ) as client:
        found = await client.encode(np.arange(20.0)[:, None])
    assert most == 3
    assert found.codes.ravel().tolist() == list(range(20))


async def test_the_first_error_ends_all_parts() -> None:
    """When a part is refused, its error is the call's, and no other part is sent any more."""
    asked = 0

    async def answer(request: httpx.Request) -> httpx.Response:
        nonlocal asked
        asked += 1
        if asked == 3:
            return problem(422, "invalid-input")
        if asked > 3:
            await asyncio.Event().wait()
        return encoded()

    async with AsyncClient("http://here", transport=httpx.MockTransport(answer), rows_per_call=1) as client:
        with pytest.raises(InvalidInput):
            await client.encode(np.ones((50, 1)))
    assert asked <= 4


async def test_it_pauses_without_holding_up_others() -> None:
    """While a call waits to be sent again, the loop goes on."""
    answers = iter([problem(503, "not-ready", retry_after="0"), encoded()])
    transport = httpx.MockTransport(lambda request: next(answers))
    async with AsyncClient("http://here", transport=transport, retries=Retries(first=0.001)) as client:
        call = asyncio.create_task(client.encode([[1.0]]))
        await asyncio.sleep(0)
        assert not call.done()
        assert (await call).codes.tolist() == [[1.0]]


async def test_a_connection_that_fails_is_told_so() -> None:
    """Errors of httpx end here too."""

    async def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("late")

    async with AsyncClient("http://here", transport=httpx.MockTransport(answer)) as client:
        assert not await client.is_alive()
        with pytest.raises(TimedOut, match="GET /models at http://here"):
            await client.models()


async def test_a_call_that_is_cancelled_ends(http: httpx.AsyncClient) -> None:
    """Cancelling a call of many parts cancels them all."""
    before = asyncio.all_tasks()

    async def answer(request: httpx.Request) -> httpx.Response:
        if "versions" in request.url.path:
            await asyncio.Event().wait()
        return encoded()

    async with AsyncClient("http://here", transport=httpx.MockTransport(answer), rows_per_call=1) as client:
        call = asyncio.create_task(client.encode(np.ones((50, 1))))
        while len(asyncio.all_tasks() - before) < 3:
            await asyncio.sleep(0)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    assert asyncio.all_tasks() == before


async def test_arrays_are_checked_before_anything_is_sent() -> None:
    """An argument that can't be is an error of the call that it is passed to."""
    async with AsyncClient("http://here") as client:
        with pytest.raises(ValueError, match="must have the shape"):
            await client.encode([1.0])


def test_at_least_one_part_is_sent_at_once() -> None:
    """None at once would be none at all."""
    with pytest.raises(ValueError, match="concurrency must be 1 or more"):
        AsyncClient("http://here", concurrency=0)
