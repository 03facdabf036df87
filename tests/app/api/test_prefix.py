"""Behind the path prefix of a proxy."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from app.api.paths import path_of
from app.api.prefix import Prefix
from tests.app.keyrings import write_keys
from tests.app.worlds import LATENTS, app_of, client_of

BODY = {"latents": LATENTS}
OTHERS = {
    "/invert": 422,
    "/edit": 422,
    "/traverse": 422,
    "/sample": 422,
    "/latents": 422,
    "/decode": 409,
    "/examples": 409,
    "/infer": 400,
    "load": 403,
}
"""What answers to that body, by the ends of paths."""


@pytest.fixture
async def behind(folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an application behind a prefix."""
    async with client_of(app_of(folder, root_path="/gyoza")) as found:
        yield found


@pytest.mark.parametrize("prefix", ["", "/gyoza"])
async def test_every_endpoint_is_reached(behind: httpx.AsyncClient, prefix: str) -> None:
    """Whether or not the proxy strips the prefix, every endpoint and every error is as without one."""
    document = (await behind.get("/openapi.json")).json()
    methods = {path: next(iter(found)).upper() for path, found in document["paths"].items()}
    assert len(methods) > 30
    for template, method in {**methods, "/docs": "GET", "/openapi.json": "GET"}.items():
        model = "tiny.encode" if template.startswith("/v2/") else "tiny"
        path = template.replace("{model}", model).replace("{version}", "1")
        answer = await behind.request(method, prefix + path, json=BODY if method == "POST" else None)
        expected = next((status for end, status in OTHERS.items() if path.endswith(end)), 200)
        assert answer.status_code == expected, path
    assert (await behind.get(f"{prefix}/nope")).json()["type"] == "urn:gyoza:not-found"
    assert (await behind.get(f"{prefix}/encode")).headers["allow"] == "POST"
    assert (await behind.post(f"{prefix}/models/nobody/encode", json=BODY)).status_code == 404


@pytest.mark.parametrize("prefix", ["", "/gyoza"])
async def test_home_leads_on_behind_it(folder: Path, prefix: str) -> None:
    """Without the explorer, the way from the first page on is a relative one, which is right behind any prefix."""
    async with client_of(app_of(folder, root_path="/gyoza", explorer=False)) as client:
        answer = await client.get(f"{prefix}/")
    assert (answer.status_code, answer.headers["location"]) == (307, "docs")


@pytest.mark.parametrize("prefix", ["", "/gyoza"])
async def test_the_explorer_is_found_behind_it(behind: httpx.AsyncClient, prefix: str) -> None:
    """The explorer's files are named relative to its page, and found below any prefix."""
    page = await behind.get(f"{prefix}/")
    files = re.findall(r'(?:src|href)="(explorer/[^"]+)"', page.text)
    assert len(files) > 10
    for file in files:
        assert (await behind.get(f"{prefix}/{file}")).status_code == 200


async def test_a_prefix_opens_no_door(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Behind a prefix the same paths need a key as without it."""
    path = tmp_path_factory.mktemp("keys") / "keys"
    write_keys(path, "web")
    async with client_of(app_of(folder, root_path="/gyoza", api_keys_file=path)) as client:
        for prefix in ("", "/gyoza"):
            assert (await client.get(f"{prefix}/livez")).status_code == 200
            assert (await client.get(f"{prefix}/models")).status_code == 401
        for odd in ("/gyozalivez", "/gyoza/gyoza/livez", "/livez/gyoza", "/gyoza//livez"):
            assert (await client.get(odd)).status_code == 401


@pytest.mark.parametrize(
    ("path", "found"),
    [("/encode", "/encode"), ("/gyoza/encode", "/encode"), ("/gyozas", "/gyozas"), ("/gyoza", "/gyoza"), ("/", "/")],
)
async def test_the_path_that_asgi_wants(path: str, found: str) -> None:
    """The scope's path holds the prefix once, and behind it what was asked for."""

    async def app(scope: dict[str, str], *_: object) -> None:
        assert (scope["path"], path_of(scope)) == (f"/gyoza{found}", found)

    await Prefix(app, "/gyoza")({"type": "http", "path": path}, None, None)  # type: ignore[arg-type]
