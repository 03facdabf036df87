"""What operators see at /metrics, asked for as Prometheus does."""

import asyncio
import re
from pathlib import Path

import httpx
import pytest

from app.exchange import UNKNOWN
from app.metrics.families import FAMILIES
from tests.app.metrics.test_metrics import ENCODE, Samples, samples, value
from tests.app.servers import ROOT
from tests.app.worlds import LATENTS, app_of, client_of, put

BODY = {"latents": LATENTS}
README = (ROOT / "README.md").read_text(encoding="utf-8")


async def scraped(client: httpx.AsyncClient) -> Samples:
    """What is measured."""
    answer = await client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return samples(answer.content)


async def test_what_was_asked_is_counted(client: httpx.AsyncClient) -> None:
    """Requests before the scrape are all in it: by endpoint, model, version and status, with rows, times and batches."""
    for path in ("/encode", "/models/tiny/encode", "/models/tiny/versions/1/encode"):
        assert (await client.post(path, json=BODY)).status_code == 200
    assert (await client.post("/invert?check=true", json={"codes": LATENTS})).status_code == 200
    assert (await client.get("/factors")).status_code == 200
    assert (await client.get("/docs")).status_code == 200
    found = await scraped(client)
    assert value(found, "gyoza_requests_total", method="POST", **ENCODE, status="200") == 3
    assert value(found, "gyoza_requests_total", method="GET", **{**ENCODE, "route": "/factors"}, status="200") == 1
    page = {"method": "GET", "route": "/docs", "model": "", "version": "", "status": "200"}
    assert value(found, "gyoza_requests_total", **page) == 1
    assert value(found, "gyoza_rows_total", **ENCODE) == 6
    assert value(found, "gyoza_rows_total", **{**ENCODE, "route": "/invert"}) == 2
    for part in ("request", "queue", "compute"):
        assert value(found, f"gyoza_{part}_seconds_count", **ENCODE) == 3
    assert value(found, "gyoza_batch_rows_count", model="tiny", version="1", primitive="encode") == 4
    assert value(found, "gyoza_batch_rows_sum", model="tiny", version="1", primitive="invert") == 2
    assert value(found, "gyoza_queue_rows", model="tiny", version="1", primitive="encode") == 0
    again = await scraped(client)
    scrape = {"method": "GET", "route": "/metrics", "model": "", "version": "", "status": "200"}
    assert value(again, "gyoza_requests_total", **scrape) == 1


async def test_what_clients_make_up_is_no_label(client: httpx.AsyncClient) -> None:
    """Whatever paths, models, versions and methods clients think of, all of those share their labels."""
    for number in range(3):
        await client.get(f"/path{number}")
        await client.post(f"/models/model{number}/encode", json=BODY)
        await client.get(f"/models/model{number}")
        await client.post(f"/models/tiny/versions/{7 + number}/encode", json=BODY)
        await client.request(f"METHOD{number}", "/encode")
    found = await scraped(client)
    unknown = {"version": "", "status": "404"}
    for labels in (
        {"method": "GET", "route": UNKNOWN, "model": ""},
        {"method": "POST", "route": "/encode", "model": UNKNOWN},
        {"method": "GET", "route": "/models/{model}", "model": UNKNOWN},
        {"method": "POST", "route": "/encode", "model": "tiny"},
        {"method": UNKNOWN, "route": "/encode", "model": "", "status": "405"},
    ):
        assert value(found, "gyoza_requests_total", **{**unknown, **labels}) == 3, labels
    assert not re.search(r"path\d|model\d|METHOD|versions|\"[789]\"", (await client.get("/metrics")).text)


@pytest.mark.parametrize(
    ("body", "content_type", "reason"),
    [
        (b"{", "application/json", "malformed-body"),
        (b'{"latents": [[1]]}', "application/json", "invalid-input"),
        (b"", "text/csv", "unsupported-media-type"),
    ],
)
async def test_what_is_refused_counts_by_its_reason(
    client: httpx.AsyncClient, body: bytes, content_type: str, reason: str
) -> None:
    """A problem counts under its kind, with the model that it was about; nothing counts as rows."""
    await client.post("/encode", content=body, headers={"Content-Type": content_type})
    found = await scraped(client)
    assert value(found, "gyoza_rejected_total", model="tiny", reason=reason) == 1
    assert not any(name == "gyoza_rows_total" for name, _ in found)


async def test_models_are_shown(tmp_path: Path) -> None:
    """Each version is in one state of those that there are, and tells how long its load took if it is READY."""
    put(tmp_path)
    put(tmp_path, version="2", text="?")
    async with client_of(app_of(tmp_path)) as client:
        found = await scraped(client)
    for version, state in (("1", "READY"), ("2", "UNAVAILABLE")):
        states = {
            labels["state"]: number
            for (name, pairs), number in found.items()
            if name == "gyoza_model_state" and (labels := dict(pairs))["version"] == version
        }
        assert {name for name, number in states.items() if number} == {state}
        assert {"LOADING", "READY", "UNAVAILABLE"} <= states.keys()
    seconds = [value(found, "gyoza_model_load_seconds", model="tiny", version=version) for version in "12"]
    assert seconds[1] is None
    assert seconds[0] is not None
    assert seconds[0] > 0


async def test_rows_that_wait_are_shown(folder: Path) -> None:
    """The rows in a queue are those that wait at the moment of the scrape."""
    async with client_of(app_of(folder, batch_delay_ms=60_000, max_batch_rows=4)) as client:
        waiting = asyncio.create_task(client.post("/encode", json=BODY))
        lane = {"model": "tiny", "version": "1", "primitive": "encode"}
        while value(await scraped(client), "gyoza_queue_rows", **lane) != 2:
            await asyncio.sleep(0.01)
        assert (await client.post("/encode", json=BODY)).status_code == (await waiting).status_code == 200
        assert value(await scraped(client), "gyoza_queue_rows", **lane) == 0


async def test_every_metric_is_documented(client: httpx.AsyncClient) -> None:
    """The README's table of metrics names every one that is shown, with its labels, and no other."""
    await client.post("/encode", json=BODY)
    shown = set(re.findall(r"^# TYPE (\w+) ", (await client.get("/metrics")).text, re.MULTILINE))
    rows = dict(re.findall(r"^\| `(gyoza_\w+)` \| \w+ \| ([^|]*) \|", README, re.MULTILINE))
    assert shown - rows.keys() == set()
    assert rows.keys() - shown - FAMILIES.keys() == set()
    for name, family in FAMILIES.items():
        assert re.findall(r"`(\w+)`", rows[name]) == [*family.labels]


@pytest.mark.parametrize("way", ["/encode", "/models/tiny/versions/1/encode"])
async def test_answers_tell_their_times(client: httpx.AsyncClient, way: str) -> None:
    """An answer of a flow tells in its header how long its parts took, which together are less than the whole."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    answer = await client.post(way, json=BODY)
    whole = 1e3 * (loop.time() - start)
    parts = re.findall(r"(\w+);dur=(\d+\.\d{3})(?:, |$)", answer.headers["server-timing"])
    assert [name for name, _ in parts] == ["decode", "queue", "compute", "encode"]
    assert all(float(milliseconds) > 0 for _, milliseconds in parts)
    assert sum(float(milliseconds) for _, milliseconds in parts) < whole
