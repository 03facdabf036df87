"""Every kind of problem, brought about by a real request to a real server, and what another client sees meanwhile."""

import re
import subprocess
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from app.api.error_handlers import INTERNAL, KINDS, METHOD_NOT_ALLOWED, RETRIED, V2_STATUS
from tests.app.keyrings import write_keys
from tests.app.servers import ROOT, serving
from tests.app.worlds import LATENTS, put

STATUSES = {kind.name: kind.status for kind in (*KINDS.values(), METHOD_NOT_ALLOWED, INTERNAL)}
ROWS = 8
"""The largest pass, and the longest queue."""
LIMITS = ("--max-rows", "64", "--max-batch-rows", str(ROWS), "--max-queue-rows", str(ROWS), "--request-timeout-s", "2")
BODY = {"latents": LATENTS}


def v2_body(rows: list[list[float]] = LATENTS) -> dict[str, Any]:
    """The same in the Open Inference Protocol."""
    return {"inputs": [{"name": "latents", "shape": [len(rows), 4], "datatype": "FP32", "data": rows}]}


@dataclass(frozen=True)
class Case:
    """A request that must fail."""

    kind: str
    path: str
    body: Any = field(default_factory=lambda: BODY)
    """Sent as JSON, or as it is where it is bytes."""
    method: str = "POST"
    headers: dict[str, str] = field(default_factory=dict)

    def send(self, client: httpx.Client) -> httpx.Response:
        """Send it."""
        body = {"content": self.body} if isinstance(self.body, bytes) else {"json": self.body}
        return client.request(self.method, self.path, headers=self.headers, **body)


MANY = [LATENTS[0]] * 65
AXIS = {"factor": "digit", "dimension": 0, "from": -1, "to": 1, "steps": 3}
CASES = [
    Case("malformed-request", "/models/tiny/encode", method="MADE-UP"),
    Case("head-too-large", "/models/tiny/encode", headers={"X-Long": "x" * 2**16}),
    Case("malformed-body", "/models/tiny/encode", b"{"),
    Case("malformed-body", "/v2/models/tiny.encode/infer", b"{"),
    Case("unauthorized", "/models/tiny/encode", headers={"X-API-Key": "wrong"}),
    Case("unauthorized", "/v2/models/tiny.encode/infer", headers={"X-API-Key": "wrong"}),
    Case("forbidden", "/v2/repository/models/tiny/load"),
    Case("not-found", "/models/nobody/encode"),
    Case("not-found", "/v2/models/nobody.encode/infer", v2_body()),
    Case("method-not-allowed", "/models/tiny/encode", method="PUT"),
    Case("method-not-allowed", "/v2/models/tiny.encode/infer", method="PUT"),
    Case("conflict", "/models/plain/factors"),
    Case("conflict", "/models/plain/edit", {"latents": LATENTS, "edits": []}),
    Case("conflict", "/models/plain/sample", {"count": 1, "factors": {"digit": [[1]]}}),
    Case("conflict", "/models/tiny/sample?decode=true", {"count": 1}),
    Case("conflict", "/models/tiny/latents", {"inputs": LATENTS}),
    Case("conflict", "/models/tiny/decode"),
    Case("conflict", "/models/tiny/examples", method="GET"),
    Case("conflict", "/v2/models/plain.factors/infer", v2_body()),
    Case("too-large", "/models/tiny/encode", {"latents": MANY}),
    Case("too-large", "/models/tiny/edit", {"latents": MANY, "edits": []}),
    Case("too-large", "/models/tiny/sample", {"count": 65}),
    Case("too-large", "/models/tiny/traverse", {"latents": LATENTS[:1], "axes": [{**AXIS, "steps": 10**9}]}),
    Case("too-large", "/v2/models/tiny.encode/infer", v2_body(MANY)),
    Case("unsupported-media-type", "/models/tiny/encode", headers={"Content-Type": "text/csv"}),
    Case("unsupported-media-type", "/models/tiny/sample", headers={"Content-Type": "application/vnd.safetensors"}),
    Case("unsupported-media-type", "/v2/models/tiny.encode/infer", headers={"Content-Encoding": "br"}),
    Case("invalid-input", "/models/tiny/encode", {"latents": [[1, 2, 3]]}),
    Case("invalid-input", "/models/tiny/edit", {"latents": LATENTS, "edits": [{"factor": "hue", "scale": 1}]}),
    Case("invalid-input", "/models/tiny/traverse", {"latents": LATENTS, "axes": [AXIS]}),
    Case("invalid-input", "/models/tiny/sample", {"count": 0}),
    Case("invalid-input", "/v2/models/tiny.encode/infer", v2_body([])),
    Case("internal", "/models/broken/encode"),
    Case("internal", "/models/broken/sample", {"count": 1}),
    Case("internal", "/v2/models/broken.encode/infer", v2_body()),
    Case("not-ready", "/models/bad/encode"),
    Case("not-ready", "/v2/models/bad.encode/infer", v2_body()),
]


@dataclass(frozen=True)
class World:
    """A server with small limits and with models of all sorts, and a client with a key."""

    server: subprocess.Popen[str]
    client: httpx.Client


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Such a world."""
    folder = tmp_path_factory.mktemp("world")
    for name, text in (("tiny", "affine"), ("plain", "plain"), ("bad", "?"), ("broken", "broken"), ("slow", "gated")):
        put(folder / "models", name, text=text)
    key = write_keys(folder / "keys", "web")["web"]
    options = ["--api-keys-file", str(folder / "keys"), "--default-model", "tiny", *LIMITS]
    with (
        serving(folder / "models", *options, stderr=subprocess.DEVNULL) as (server, url, _),
        httpx.Client(base_url=url, headers={"X-API-Key": key}, timeout=30) as client,
    ):
        yield World(server, client)


def assert_told(answer: httpx.Response, kind: str) -> None:
    """An answer tells of a problem of that kind, in the shape that its path has."""
    is_v2 = answer.url.path.startswith("/v2/")
    status, body = STATUSES[kind], answer.json()
    assert answer.status_code == (V2_STATUS.get(status, status) if is_v2 else status), body
    assert (body["code"] if is_v2 else body["type"].removeprefix("urn:gyoza:")) == kind
    assert len(body["error"] if is_v2 else body["detail"]) > 20
    assert body["request_id"] == answer.headers["x-request-id"]
    assert answer.headers["content-type"] == ("application/json" if is_v2 else "application/problem+json")
    assert ("retry-after" in answer.headers) == (status in RETRIED)
    assert ("www-authenticate" in answer.headers) == (status == 401)
    assert ("allow" in answer.headers) == (status == 405)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.kind}-{case.path}")
def test_a_request_that_must_fail(world: World, case: Case) -> None:
    """It gets its status, its kind and a text, and the next request is answered as ever."""
    assert_told(case.send(world.client), case.kind)
    assert world.client.post("/encode", json=BODY).status_code == 200


def test_a_full_queue_and_a_deadline(world: World) -> None:
    """Behind a pass that does not end, rows wait for their deadline, more are refused, and other models answer."""
    full, path, client = {"latents": [LATENTS[0]] * ROWS}, "/models/slow/encode", world.client
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(client.post, path, json=full)
        assert world.server.stdout
        assert world.server.stdout.readline() == "pass begins\n"
        pending = {pool.submit(client.post, path, json=full) for _ in range(2)}
        (refused, *_), pending = wait(pending, return_when=FIRST_COMPLETED)
        assert_told(refused.result(), "overloaded")
        assert_told(client.post("/v2/models/slow.encode/infer", json=v2_body(full["latents"])), "overloaded")
        assert client.post("/encode", json=BODY).status_code == 200
        for future in (first, *pending):
            assert_told(future.result(), "deadline-exceeded")


def test_every_kind_is_tried() -> None:
    """No kind of problem is without a request here; only that of slow heads takes so long that it has a server in a hurry."""
    others = {"overloaded", "deadline-exceeded", "request-timeout"}
    assert {case.kind for case in CASES} | others == set(STATUSES)


def test_every_kind_is_in_the_readme() -> None:
    """The README's table has every kind with its status, and no other."""
    rows = re.findall(r"^\| (\d{3}) \| `([a-z-]+)` \|", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert {kind: int(status) for status, kind in rows} == STATUSES
