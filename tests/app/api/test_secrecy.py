"""What no error tells: where things lie on this machine, and what the code looks like inside."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import httpx
import pytest

from app import errors
from app.api import health, shortcut
from app.api.error_handlers import INTERNAL, KINDS
from app.api.shortcut import FLOWS, INFER, Way
from tests.app.keyrings import write_keys
from tests.app.worlds import LATENTS, app_of, client_of, put


@dataclass(frozen=True)
class World:
    """A service with everything wrong that can be."""

    client: httpx.AsyncClient
    hidden: tuple[str, ...]


REQUESTS = (
    ("GET", "/models", b""),
    ("GET", "/models/bad", b""),
    ("GET", "/models/nobody", b""),
    ("GET", "/nope", b""),
    ("GET", "/encode", b""),
    ("GET", "/readyz", b""),
    ("GET", "/models/plain/factors", b""),
    ("POST", "/models/bad/encode", b"{}"),
    ("POST", "/models/bug/encode", b"{}"),
    ("POST", "/models/tiny/encode", b"{"),
    ("POST", "/models/tiny/encode", b'{"latents": [[1]]}'),
    ("POST", "/models/tiny/encode", b"[" * 300_000),
    ("POST", "/models/tiny/invert?decode=true", b"{}"),
    ("GET", "/v2/models/bad.encode", b""),
    ("GET", "/v2/models/nobody.encode/ready", b""),
    ("GET", "/v2/nope", b""),
    ("POST", "/v2/repository/index", b""),
    ("POST", "/v2/models/bad.encode/infer", b"{}"),
    ("POST", "/v2/models/bug.encode/infer", b"{}"),
    ("POST", "/v2/models/tiny.encode/infer", b"{"),
    ("POST", "/v2/models/tiny.encode/infer", b'{"inputs": [{"name": "latents", "shape": [1]}]}'),
)


@pytest.fixture
async def world(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """A client of that service, with what it must never read."""
    for text in ("?", "bug", "plain"):
        put(folder, name={"?": "bad"}.get(text, text), text=text)
    path = tmp_path_factory.mktemp("keys") / "keys"
    key = write_keys(path, "web")["web"]
    app = app_of(folder, api_keys_file=path, max_json_bytes=100_000)
    hidden = (str(folder), str(path), key, "Traceback", 'File "', "site-packages")
    async with client_of(app) as client:
        client.headers["X-API-Key"] = key
        yield World(client, hidden)


def assert_nothing_is_told(answer: httpx.Response, world: World) -> None:
    """Neither the body nor a header holds what must stay here."""
    told = f"{answer.text} {answer.headers}"
    assert [text for text in world.hidden if text in told] == []


@pytest.mark.parametrize(("method", "path", "body"), REQUESTS)
async def test_real_errors_tell_nothing_of_the_inside(world: World, method: str, path: str, body: bytes) -> None:
    """Whatever is wrong with a request or a model, no answer holds a path, a key or a stack trace."""
    assert_nothing_is_told(await world.client.request(method, path, content=body), world)


async def test_refusals_tell_nothing_of_the_inside(world: World) -> None:
    """A wrong key, another content type and another encoding are refused without a word of the inside."""
    for headers in ({"X-API-Key": "wrong"}, {"Content-Type": "text/x"}, {"Content-Encoding": "br"}):
        answer = await world.client.post("/models/tiny/encode", json={"latents": LATENTS}, headers=headers)
        assert answer.status_code in {401, 415}
        assert_nothing_is_told(answer, world)


@pytest.mark.parametrize("error", [*KINDS, RuntimeError])
async def test_every_kind_is_answered_in_the_one_shape(
    world: World, error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever an error of any kind is raised, on the short way or the long one, its answer has no stack trace."""
    fault = error(errors.FieldError("f", "wrong")) if error is errors.InvalidInput else error("wrong")
    kind = KINDS.get(error, INTERNAL) if issubclass(error, errors.GyozaError) else INTERNAL

    async def broken(*_: object) -> NoReturn:
        raise fault

    def broken_too(*_: object) -> None:
        raise fault

    monkeypatch.setattr(shortcut, "WAYS", {"encode": Way(FLOWS, broken), "infer": Way(INFER, broken)})
    monkeypatch.setattr(health, "why_not", broken_too)
    for answer in (await world.client.post("/encode", json={}), await world.client.get("/readyz")):
        assert answer.status_code == kind.status
        assert answer.json()["type"] == f"urn:gyoza:{kind.name}"
        assert_nothing_is_told(answer, world)
    answer = await world.client.post("/v2/models/tiny.encode/infer", json={})
    assert answer.json()["code"] == kind.name
    assert set(answer.json()) <= {"error", "code", "request_id", "ready"}
    assert_nothing_is_told(answer, world)
