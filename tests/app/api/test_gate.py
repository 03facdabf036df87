"""Who may come in."""

import asyncio
import logging
from collections.abc import AsyncIterator
from itertools import product
from pathlib import Path

import httpx
import pytest
from starlette.types import Message, Receive, Scope, Send

from app.api.access import KEY, TOGETHER_S
from app.api.doors import doors_of
from app.api.exchange import EXCHANGE
from app.api.gate import Gate
from app.exchange import Exchange
from app.keys import Key, KeyRing
from app.settings import Settings
from tests.app.keyrings import write_keys
from tests.app.worlds import LATENTS, app_of, client_of

BODY = {"latents": LATENTS}
HEALTH = ["/livez", "/readyz", "/v2/health/live", "/v2/health/ready"]
DOCS = ["/", "/docs", "/openapi.json"]


@pytest.fixture
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Where the two files of keys are."""
    path = tmp_path_factory.mktemp("keys")
    return path / "api", path / "admin"


@pytest.fixture
def key(files: tuple[Path, Path]) -> str:
    """A key that may call."""
    return write_keys(files[0], "web", "other")["web"]


@pytest.fixture
def admin(files: tuple[Path, Path]) -> str:
    """A key of an admin."""
    return write_keys(files[1], "root")["root"]


@pytest.fixture
async def locked(folder: Path, files: tuple[Path, Path], key: str, admin: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a key, of an application that wants one."""
    async with client_of(app_of(folder, api_keys_file=files[0], admin_keys_file=files[1])) as found:
        yield found


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("path", ["/encode", "/models", "/models/tiny", "/factors", "/nope", "/livez/"])
async def test_without_a_key_nothing_is_told(locked: httpx.AsyncClient, method: str, path: str) -> None:
    """Without a key every path but the open ones is 401 and says how to send one, whether or not it is there."""
    answer = await locked.request(method, path)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    problem = answer.json()
    assert (problem["type"], problem["status"]) == ("urn:gyoza:unauthorized", 401)
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert "Authorization: Bearer KEY" in problem["detail"]
    assert "X-API-Key: KEY" in problem["detail"]
    assert "Received: none" in problem["detail"]


@pytest.mark.parametrize("header", ["Authorization: Bearer {}", "authorization: bEARER  {} ", "X-API-Key: {}"])
async def test_a_key_opens(locked: httpx.AsyncClient, key: str, admin: str, header: str) -> None:
    """A key of either file opens everything, in either header."""
    for each in (key, admin):
        name, _, value = header.format(each).partition(": ")
        headers = {name: value}
        assert (await locked.post("/encode", json=BODY, headers=headers)).status_code == 200
        assert (await locked.get("/models", headers=headers)).status_code == 200
        assert (await locked.get("/nope", headers=headers)).status_code == 404


async def test_the_other_header_may_hold_something_else(locked: httpx.AsyncClient, key: str) -> None:
    """Beside the key of one header, what a proxy wants in the other does not matter."""
    for headers in (
        {"Authorization": "Basic dTpw", "X-API-Key": key},
        {"Authorization": "Bearer other", "X-API-Key": key},
        {"Authorization": f"Bearer {key}", "X-API-Key": "other"},
    ):
        assert (await locked.get("/models", headers=headers)).status_code == 200


@pytest.mark.parametrize("sent", ["gyoza_wrong", "", "web", "é", "x" * 5000])
async def test_a_wrong_key_is_refused_and_never_repeated(locked: httpx.AsyncClient, sent: str) -> None:
    """A key that is not known is 401, and stands nowhere in the answer."""
    for headers in ({b"X-API-Key": sent.encode()}, {b"Authorization": b"Bearer " + sent.encode()}):
        answer = await locked.get("/models", headers=headers)
        assert answer.status_code == 401
        assert "Received: one that is not known here" in answer.json()["detail"]
        assert "gyoza_wrong" not in answer.text
        assert "xxxx" not in answer.text


@pytest.mark.parametrize("path", HEALTH)
async def test_health_is_open(locked: httpx.AsyncClient, path: str) -> None:
    """Health needs no key, and a wrong one does not matter."""
    for headers in ({}, {"X-API-Key": "wrong"}):
        for method in ("GET", "HEAD"):
            assert (await locked.request(method, path, headers=headers)).status_code == 200


@pytest.mark.parametrize("path", [*DOCS, "/metrics"])
async def test_pages_and_metrics_by_their_settings(
    folder: Path, files: tuple[Path, Path], key: str, admin: str, path: str
) -> None:
    """The documentation and the metrics are open unless their settings say no; then they need a key."""
    name = "public_docs" if path in DOCS else "public_metrics"
    for public, (setting, file, each) in product(
        (True, False), zip(("api_keys_file", "admin_keys_file"), files, (key, admin), strict=True)
    ):
        async with client_of(app_of(folder, **{setting: file, name: public})) as client:
            assert ((await client.get(path)).status_code == 401) is not public
            assert public or (await client.get(f"{path}%0A")).status_code == 401
            headers = {"X-API-Key": each}
            assert (await client.get(path, headers=headers)).status_code != 401


async def test_with_keys_of_admins_alone_anybody_may_call(folder: Path, files: tuple[Path, Path], admin: str) -> None:
    """Where only admins have keys, calls need none."""
    async with client_of(app_of(folder, admin_keys_file=files[1])) as client:
        assert (await client.post("/encode", json=BODY)).status_code == 200
        assert (await client.post("/encode", json=BODY, headers={"X-API-Key": "wrong"})).status_code == 200


@pytest.mark.parametrize("path", ["/v2/health/live", "/v2/health/ready"])
def test_health_of_the_protocol_is_open(files: tuple[Path, Path], path: str) -> None:
    """The health of the Open Inference Protocol needs no key either; what else it has does."""
    for settings in (Settings(api_keys_file=files[0]), Settings(admin_keys_file=files[1])):
        assert not doors_of(settings).need_key(path)
    assert doors_of(Settings(api_keys_file=files[0])).need_key("/v2/models/tiny.encode/infer")


async def test_who_came_is_told_in_the_log(
    locked: httpx.AsyncClient, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The log line of a request names its key by the name in the file, and never the key."""
    with caplog.at_level(logging.INFO, "gyoza.access"):
        await locked.post("/encode", json=BODY, headers={"X-API-Key": key, "X-Request-ID": "a"})
        await locked.post("/encode", json=BODY, headers={"X-API-Key": "gyoza_wrong", "X-Request-ID": "b"})
        await asyncio.sleep(2 * TOGETHER_S)
    first, second = (record.getMessage() for record in caplog.records if record.name == "gyoza.access")
    assert first.endswith("ms a by web")
    assert second.endswith("ms b")
    assert "POST /encode 401" in second
    assert key not in caplog.text
    assert "gyoza_wrong" not in caplog.text


def request(*headers: tuple[bytes, bytes]) -> Scope:
    """The scope of a request."""
    state = {"request_id": "a", EXCHANGE: Exchange("a", 0.0)}
    return {"type": "http", "method": "POST", "path": "/encode", "headers": [*headers], "state": state}


async def test_who_came_is_told_to_what_is_behind(files: tuple[Path, Path], key: str, admin: str) -> None:
    """The scope holds whose key came; what is no request is passed on as it is."""
    seen: list[Scope] = []

    async def behind(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)

    async def receive() -> Message:
        raise AssertionError

    async def send(message: Message) -> None:
        raise AssertionError

    gate = Gate(behind, KeyRing(*files), doors_of(Settings(api_keys_file=files[0])))
    for sent in (key, admin):
        await gate(request((b"x-api-key", sent.encode())), receive, send)
    await gate({"type": "lifespan"}, receive, send)
    assert [scope.get(KEY) for scope in seen] == [Key("web", admin=False), Key("root", admin=True), None]


async def test_nobody_is_refused_after_the_body(files: tuple[Path, Path], key: str) -> None:
    """Who may not come in is told so before a byte of the body is read, and the connection is closed on the rest."""
    sent: list[Message] = []

    async def behind(scope: Scope, receive: Receive, send: Send) -> None:
        raise AssertionError

    async def receive() -> Message:
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    gate = Gate(behind, KeyRing(files[0], None), doors_of(Settings(api_keys_file=files[0])))
    # The key comes behind two others: no more are looked at, lest one request asks for thousands of digests.
    await gate(request(*((b"x-api-key", value.encode()) for value in ("a", "b", key))), receive, send)
    assert sent[0]["status"] == 401
    assert (b"connection", b"close") in sent[0]["headers"]


async def test_the_document_tells_of_keys(locked: httpx.AsyncClient, client: httpx.AsyncClient) -> None:
    """With keys, the OpenAPI document says how to send one, and which operations need one; without, nothing of keys."""
    document = (await locked.get("/openapi.json")).json()
    assert set(document["components"]["securitySchemes"]) == {"bearer", "header"}
    for path, methods in document["paths"].items():
        for operation in methods.values():
            needs = path not in {*HEALTH, "/metrics"}
            assert operation.get("security", []) == ([{"bearer": []}, {"header": []}] if needs else [])
            assert bool({"401", "default"} & operation["responses"].keys()) is needs or path in HEALTH
            assert not {"401", "default"} <= operation["responses"].keys()
    document = (await client.get("/openapi.json")).json()
    assert "securitySchemes" not in document["components"]
    told = {
        path
        for path, methods in document["paths"].items()
        if any("401" in each["responses"] for each in methods.values())
    }
    assert told == {"/models/{model}/load", "/models/{model}/unload"}
