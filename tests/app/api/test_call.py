"""The flow endpoints in array code: what runs on the event loop, and what beside it."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.api import call
from app.tensors import FactorLayout
from tests.app.worlds import FACTORS, app_of, client_of, put, rows


@pytest.fixture
def on_loop(monkeypatch: pytest.MonkeyPatch) -> dict[str, set[bool]]:
    """Notes of each function that works on all arrays of a request whether it ran on the event loop's thread."""
    notes: dict[str, set[bool]] = {}

    def noting(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*arguments: Any) -> Any:
            notes.setdefault(name, set()).add(threading.current_thread() is threading.main_thread())
            return function(*arguments)

        return noted

    for name in ("checked_round_trip_error", "round_trip_error"):
        monkeypatch.setattr(call, name, noting(name, getattr(call, name)))
    monkeypatch.setattr(FactorLayout, "join", noting("join", FactorLayout.join))
    return notes


async def ask(client: httpx.AsyncClient, count: int) -> None:
    """Ask for all that works on whole arrays, with so many rows."""
    body = (await client.post("/factors", json={"latents": rows(count).tolist()})).json()
    answer = await client.post(
        "/invert?check=true", json={"factors": {name: body["factors"][name] for name in FACTORS}}
    )
    assert len(answer.json()["round_trip_error"]) == count


@pytest.mark.parametrize(("count", "expected"), [(2, True), (70_000, False)])
async def test_only_small_requests_are_worked_on_by_the_loop(
    folder: Path, on_loop: dict[str, set[bool]], count: int, expected: bool
) -> None:
    """Arrays of a large request are worked on in threads, so that others need not wait; small ones at once."""
    async with client_of(app_of(folder, max_batch_rows=4096, max_rows=count)) as client:
        await ask(client, count)
    assert on_loop == {name: {expected} for name in ("checked_round_trip_error", "round_trip_error", "join")}


async def test_what_is_refused_in_a_thread_is_refused_all_the_same(tmp_path: Path) -> None:
    """A large request whose results overflow gets the same 422 as a small one."""
    put(tmp_path)
    async with client_of(app_of(tmp_path, max_batch_rows=4096, max_rows=70_000)) as client:
        latents = rows(70_000).tolist()
        latents[69_000][3] = 2e38
        answer = await client.post("/encode", json={"latents": latents})
    assert answer.status_code == 422
    assert "these rows overflow: 69000;" in answer.json()["detail"]
