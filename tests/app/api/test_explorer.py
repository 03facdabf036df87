"""How the explorer's page is served; what it does is tested in a browser, in ``tests/app/explorer``."""

import gzip
import re
from pathlib import Path

import httpx
import pytest

from app.api.explorer import FILES, FOLDER
from tests.app.keyrings import write_keys
from tests.app.worlds import app_of, client_of

SCRIPTS = sorted(name for name in FILES if name.endswith(".js"))


async def test_home_is_the_page(client: httpx.AsyncClient) -> None:
    """GET / is a page; browsers may run and show nothing with it but what comes from this service."""
    answer = await client.get("/")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert not re.search(r"<script>|<style|\son\w+=|\sstyle=", answer.text)
    assert (await client.head("/")).headers["content-length"] == answer.headers["content-length"]


@pytest.mark.parametrize("name", [name for name in FILES if name != "index.html"])
async def test_every_file_is_served(client: httpx.AsyncClient, name: str) -> None:
    """Every file of the page is there, as it lies in its folder, with its media type."""
    answer = await client.get(f"/explorer/{name}")
    assert answer.content == (FOLDER / name).read_bytes()
    kind = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}[name.rpartition(".")[2]]
    assert answer.headers["content-type"].partition(";")[0] == kind
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("name", sorted(FILES))
def test_nothing_comes_from_elsewhere(name: str) -> None:
    """No file names an outside host, makes markup of text, or leaves the path that the page came from."""
    text = (FOLDER / name).read_text(encoding="utf-8").replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert not re.search(r"https?://|@import|innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", text)
    assert not re.search(r"""(?:src|href)=["']/|(?:get|post|fetch)\(["'`]/""", text)


def test_every_module_is_fetched_at_once() -> None:
    """The page names every module beforehand, so that a phone need not wait for one to learn of the next."""
    html = (FOLDER / "index.html").read_text(encoding="utf-8")
    named = re.findall(r'(?:rel="modulepreload" href|type="module" src)="explorer/(\w+\.js)"', html)
    assert sorted(named) == SCRIPTS


async def test_what_a_browser_has_is_not_sent_again(client: httpx.AsyncClient) -> None:
    """A browser asks each time whether a file is still the same one, and gets it only if it is not: upgrades are seen."""
    for path in ("/", "/explorer/main.js"):
        answer = await client.get(path)
        assert answer.headers["cache-control"] == "no-cache"
        again = await client.get(path, headers={"If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == answer.headers["etag"]
        assert (await client.get(path, headers={"If-None-Match": 'W/"of another release"'})).status_code == 200
    tags = {file.tag for file in FILES.values()}
    assert len(tags) == len(FILES)


async def test_files_come_compressed_to_who_asks(client: httpx.AsyncClient) -> None:
    """With Accept-Encoding: gzip a file is compressed, without it is not."""
    async with client.stream("GET", "/explorer/main.js", headers={"Accept-Encoding": "gzip"}) as answer:
        content = b"".join([chunk async for chunk in answer.aiter_raw()])
        assert answer.headers["content-encoding"] == "gzip"
    assert gzip.decompress(content) == FILES["main.js"].content
    plain = await client.get("/explorer/main.js", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.headers["vary"] == "Accept-Encoding"


@pytest.mark.parametrize("name", ["nope.js", "index.html", "..%2F..%2Fsettings.py"])
async def test_nothing_else_is_served(client: httpx.AsyncClient, name: str) -> None:
    """What is no file of the page is not found."""
    answer = await client.get(f"/explorer/{name}")
    assert answer.status_code == 404
    assert answer.json()["type"] == "urn:gyoza:not-found"


async def test_it_can_be_switched_off(folder: Path) -> None:
    """Switched off, GET / leads to the documentation, and the page's files are gone."""
    async with client_of(app_of(folder, explorer=False)) as client:
        answer = await client.get("/", follow_redirects=True)
        assert (answer.status_code, answer.url.path) == (200, "/docs")
        assert (await client.get("/explorer/main.js")).status_code == 404


@pytest.mark.parametrize(("public", "status"), [(True, 200), (False, 401)])
async def test_its_door_is_that_of_the_documentation(folder: Path, tmp_path: Path, public: bool, status: int) -> None:
    """With keys, the page and its files need one exactly where the documentation does."""
    keys = write_keys(tmp_path / "keys", "ada")
    app = app_of(folder, api_keys_file=tmp_path / "keys", public_docs=public)
    async with client_of(app) as client:
        for path in ("/", "/explorer/main.js", "/docs"):
            assert (await client.get(path)).status_code == status
            assert (await client.get(path, headers={"X-API-Key": keys["ada"]})).status_code == 200
        assert (await client.get("/models")).status_code == 401
