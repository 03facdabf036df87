"""Bodies on their way, and how much of memory they may take together."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.api import intake
from app.api.intake import Intake
from app.errors import Overloaded
from tests.app.worlds import app_of, client_of

BODY = b'{"latents": [[1, 2, 3, 4]]}'
V2 = b'{"inputs": [{"name": "latents", "shape": [1, 4], "datatype": "FP32", "data": [1, 2, 3, 4]}]}'


@pytest.fixture(autouse=True)
def _count_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let small bodies count too."""
    monkeypatch.setattr(intake, "SMALL", 0)


def test_small_bodies_are_always_taken_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no room a small body is taken in all the same; one that turns out to be larger counts whole."""
    monkeypatch.setattr(intake, "SMALL", 5)
    full = Intake(6)
    with full.portion() as one, full.portion() as other:
        one.take(6)
        other.take(5)
        with pytest.raises(Overloaded):
            other.take(1)
        assert full.size == 6
    with full.portion() as one:
        one.take(5)
        assert full.size == 0
        one.take(1)
        assert full.size == 6
    assert full.size == 0


def test_what_is_taken_is_given_back() -> None:
    """Bodies share what there is; what one of them took is free again once it is done with, or has failed."""
    shared = Intake(10)
    with shared.portion() as one, shared.portion() as other:
        one.take(6)
        other.take(4)
        with pytest.raises(Overloaded, match="at most 10 bytes"):
            other.take(1)
        assert shared.size == 10
    assert shared.size == 0


@pytest.mark.parametrize(
    ("path", "body"), [("/encode", BODY), ("/v2/models/tiny.encode/infer", V2), ("/v2/repository/index", b"{}")]
)
async def test_bodies_on_their_way_are_bounded(folder: Path, path: str, body: bytes) -> None:
    """While one body is held up, another one that does not fit beside it is 429; both are read once there is room."""
    app = app_of(folder, max_body_bytes=len(body), max_intake_bytes=len(body))
    go_on, on_its_way = asyncio.Event(), asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield body[:1]
        on_its_way.set()
        await go_on.wait()
        yield body[1:]

    async with client_of(app) as client:
        slow = asyncio.create_task(client.post(path, content=slowly()))
        await on_its_way.wait()
        refused = await client.post(path, content=body)
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        assert "GYOZA_MAX_INTAKE_BYTES" in refused.text
        go_on.set()
        assert (await slow).status_code == 200
        assert (await client.post(path, content=body)).status_code == 200


async def test_what_fails_is_given_back_too(folder: Path) -> None:
    """However a request ends, the room that its body took is free for the next one."""
    async with client_of(app_of(folder, max_body_bytes=len(BODY), max_intake_bytes=len(BODY))) as client:
        for content, coding in [(b"{", ""), (b"x" * len(BODY), "gzip"), (b'{"latents": [[1]]}', ""), (BODY + b" ", "")]:
            answer = await client.post("/encode", content=content, headers={"Content-Encoding": coding})
            assert answer.status_code in {400, 413, 422}
        assert (await client.post("/encode", content=BODY)).status_code == 200
