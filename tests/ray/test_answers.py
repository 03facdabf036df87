"""Replicas behind Ray's proxy answer as one process does, whatever they are asked."""

from pathlib import Path

import httpx

from tests.ray.asking import LATENTS, Ask, asked, binary, infer, lists
from tests.ray.conftest import MARKS, ROOT, Deploy, replicas, serving

pytestmark = MARKS

WELL = (
    lists("/encode", latents=LATENTS),
    lists("/models/digits/factors", latents=LATENTS),
    lists("/models/digits/versions/1/invert?check=true", codes=LATENTS),
    lists("/models/digits/sample", count=3, seed=5),
    binary("/models/digits/encode", latents=LATENTS),
    binary("/models/digits/invert", codes=LATENTS),
    infer("digits.encode", "latents", LATENTS),
    infer("digits.invert", "codes", LATENTS),
    Ask("/factors", method="GET"),
    Ask("/models", method="GET"),
    Ask("/v2/models/digits.encode", method="GET"),
    Ask("/readyz", method="GET"),
)
BADLY = (
    Ask("/encode", b"{", {"content-type": "application/json"}),
    Ask("/encode", b"x", {"content-type": "text/plain"}),
    lists("/encode", latents=[[1.0, 2.0]]),
    lists("/encode", latents=[[0.0] * 32] * 40),
    lists("/encode", latents="nothing"),
    lists("/models/nobody/encode", latents=LATENTS),
    lists("/models/broken/encode", latents=LATENTS),
    lists("/models/digits/versions/9/encode", latents=LATENTS),
    lists("/sample", count=3, padding="x" * 5000),
    Ask("/encode", method="GET"),
    Ask("/nowhere", method="GET"),
    Ask("/v2/models/nobody.encode/infer", b"{}"),
    Ask("/v2/models/broken.encode/infer", b"{}"),
    Ask("/v2/models/digits.encode/infer", b"{}"),
)


def test_two_replicas_answer_bit_by_bit_as_a_process_does(deploy: Deploy) -> None:
    """JSON, safetensors and the Open Inference Protocol's bytes; each request comes to both replicas."""
    folder = str(ROOT / "models")
    address = deploy({"models_dir": folder}, num_replicas=2)
    with serving("--models-dir", folder) as plain:
        for ask in WELL:
            expected = asked(plain, ask)
            assert expected[0] == 200, expected
            assert [asked(address, ask) for _ in range(8)] == [expected] * 8
    starts = {start_of(address) for _ in range(50)}
    assert len(starts) == len(replicas()) == 2


def start_of(address: str) -> str:
    """When the process began that answers."""
    lines = httpx.get(f"{address}/metrics").text.splitlines()
    return next(line for line in lines if line.startswith("gyoza_process_start_time_seconds"))


def test_what_is_wrong_is_told_as_a_process_tells_it(deploy: Deploy, tmp_path: Path) -> None:
    """Status, kind, detail, request id, Retry-After: bit by bit, in both shapes of errors."""
    (tmp_path / "digits").symlink_to(ROOT / "models" / "digits")
    (tmp_path / "broken.keras").write_text("no archive")
    limits = {"max_rows": 32, "max_json_bytes": 4000, "default_model": "digits", "strict_readiness": False}
    address = deploy({"models_dir": str(tmp_path), **limits})
    options = ("--max-rows=32", "--max-json-bytes=4000", "--default-model=digits", "--no-strict-readiness")
    with serving("--models-dir", str(tmp_path), *options) as plain:
        expected = [asked(plain, ask) for ask in BADLY]
        assert {status for status, *_ in expected} == {400, 404, 405, 413, 415, 422, 503}
        assert [asked(address, ask) for ask in BADLY] == expected


def test_an_id_that_could_hurt_is_replaced_by_one(deploy: Deploy) -> None:
    """The answer has one id, which is the one in the service's log."""
    address = deploy({"models_dir": str(ROOT / "models")})
    answer = httpx.get(f"{address}/nowhere", headers={"X-Request-ID": "{a} <b>"})
    assert answer.headers.get_list("x-request-id") == [answer.json()["request_id"]]
    assert httpx.get(f"{address}/livez", headers={"X-Request-ID": "mine"}).headers.get_list("x-request-id") == ["mine"]


def test_it_may_serve_below_a_prefix(deploy: Deploy) -> None:
    """Where several applications share a cluster; the prefix is told to the service too."""
    from ray import serve

    from app.ray_serve import Arguments, application
    from tests.ray.conftest import NAME

    address = deploy({"models_dir": str(ROOT / "models")})
    settings = {"models_dir": str(ROOT / "models"), "root_path": "/flows"}
    serve.run(application(Arguments(settings=settings)), name=NAME, route_prefix="/flows")
    answer = asked(f"{address}/flows", lists("/models/digits/encode", latents=LATENTS))
    assert (answer[0], httpx.get(f"{address}/flows/readyz").status_code) == (200, 200)
    assert httpx.get(f"{address}/flows/nowhere").json()["type"] == "urn:gyoza:not-found"
