"""The server and its models, as clients of the Open Inference Protocol look at them."""

from pathlib import Path

import httpx
import pytest

import gyoza
from app.main import create_app
from app.peers import Peers
from app.settings import Settings
from tests.app.worlds import LATENTS, app_of, client_of, put, tiny_loader

NAMES = ["tiny.encode", "tiny.factors", "tiny.invert"]
LATENTS_TENSOR = {"name": "latents", "datatype": "FP32", "shape": [-1, 4]}


async def test_the_server_tells_what_it_is(client: httpx.AsyncClient) -> None:
    """Name, version, and just those extensions that are spoken."""
    body = (await client.get("/v2")).json()
    assert (body["name"], body["version"]) == ("gyoza", gyoza.__version__)
    assert body["extensions"] == [
        "binary_tensor_data",
        "model_configuration",
        "model_repository",
        "parameters",
        "schedule_policy",
        "statistics",
    ]


async def test_health(client: httpx.AsyncClient) -> None:
    """A client that reads the status and one that reads the body both see that all is ready."""
    assert (await client.get("/v2/health/live")).json() == {"live": True}
    assert (await client.get("/v2/health/ready")).json() == {"live": True, "ready": True}
    assert (await client.get("/v2/models/tiny.encode/ready")).json() == {"name": "tiny.encode", "ready": True}


async def test_what_is_not_ready_says_so(folder: Path) -> None:
    """A server or model that can't be asked is 503, says so in the body and when to come back; others still answer."""
    put(folder, name="bad", text="?")
    async with client_of(app_of(folder)) as client:
        for path in (
            "/v2/health/ready",
            "/v2/models/bad.encode/ready",
            "/v2/models/bad.encode",
            "/v2/models/bad.invert/config",
        ):
            answer = await client.get(path)
            assert (answer.status_code, answer.json()["code"], answer.json()["ready"]) == (503, "not-ready", False)
            assert "UNAVAILABLE" in answer.json()["error"]
            assert int(answer.headers["Retry-After"]) > 0
        assert (await client.get("/v2/health/live")).status_code == 200
        assert (await client.get("/v2/models/tiny.encode/ready")).status_code == 200


async def test_readiness_is_that_of_all_workers(folder: Path) -> None:
    """While another worker is not ready, the server is not."""
    app = create_app(Settings(models_dir=folder), tiny_loader, peers=Peers(["worker 2 is being started"]))
    async with client_of(app) as client:
        assert "worker 2" in (await client.get("/v2/health/ready")).json()["error"]


async def test_models_are_listed(folder: Path) -> None:
    """Each flow is three names, each once, whatever the versions."""
    put(folder, version="2")
    async with client_of(app_of(folder)) as client:
        assert (await client.get("/v2/models")).json() == {"models": NAMES}


@pytest.mark.parametrize("version", ["", "/versions/1"])
async def test_metadata(client: httpx.AsyncClient, version: str) -> None:
    """Tensors with names, datatypes and shapes, in which -1 is the rows."""
    body = (await client.get(f"/v2/models/tiny.encode{version}")).json()
    assert {name: value for name, value in body.items() if name != "outputs"} == {
        "name": "tiny.encode",
        "versions": ["1"],
        "platform": "gyoza_flow",
        "inputs": [LATENTS_TENSOR],
    }
    per_row = [{"name": name, "datatype": "FP32", "shape": [-1]} for name in ("logdet", "log_likelihood")]
    assert body["outputs"] == [{**LATENTS_TENSOR, "name": "codes"}, *per_row]
    factors = (await client.get(f"/v2/models/tiny.factors{version}")).json()["outputs"]
    assert {output["name"]: output["shape"] for output in factors[:3]} == {
        "residual": [-1, 2],
        "digit": [-1, 1],
        "color": [-1, 1],
    }
    back = (await client.get(f"/v2/models/tiny.invert{version}")).json()
    assert (back["inputs"], back["outputs"]) == ([{**LATENTS_TENSOR, "name": "codes"}], [LATENTS_TENSOR])


async def test_only_ready_versions_are_told(folder: Path) -> None:
    """Versions that can't be asked are no versions to a client."""
    put(folder, version="2", text="coupled")
    put(folder, version="3", text="?")
    async with client_of(app_of(folder)) as client:
        body = (await client.get("/v2/models/tiny.encode")).json()
        assert body["versions"] == ["1", "2"]
        assert body["inputs"][0]["datatype"] == "FP64"


@pytest.mark.parametrize("version", ["", "/versions/1"])
async def test_config(client: httpx.AsyncClient, version: str) -> None:
    """Every tensor of the configuration is one of the metadata, without the rows."""
    body = (await client.get(f"/v2/models/tiny.encode{version}/config")).json()
    assert (body["name"], body["max_batch_size"]) == ("tiny.encode", 65_536)
    assert [(tensor["name"], tensor["data_type"], tensor["dims"]) for tensor in (*body["input"], *body["output"])] == [
        ("latents", "TYPE_FP32", [4]),
        ("codes", "TYPE_FP32", [4]),
        ("logdet", "TYPE_FP32", [1]),
        ("log_likelihood", "TYPE_FP32", [1]),
    ]
    assert body["model_transaction_policy"] == {"decoupled": False}


async def test_statistics(folder: Path) -> None:
    """What went through a model's queue is told for each version that is READY, on whichever path it came."""
    put(folder, version="2")
    put(folder, version="3", text="?")
    async with client_of(app_of(folder)) as client:
        for _ in range(3):
            await client.post(
                "/v2/models/tiny.encode/infer", content=b"\0" * 32, headers={"Inference-Header-Content-Length": "0"}
            )
        await client.post("/encode", json={"latents": LATENTS})
        every = (await client.get("/v2/models/stats")).json()["model_stats"]
        assert [(item["name"], item["version"]) for item in every] == [
            (name, version) for version in "12" for name in NAMES
        ]
        both = (await client.get("/v2/models/tiny.encode/stats")).json()["model_stats"]
        assert [item["version"] for item in both] == ["1", "2"]
        (asked,) = (await client.get("/v2/models/tiny.encode/versions/2/stats")).json()["model_stats"]
    assert (asked["inference_count"], asked["execution_count"]) == (8, 4)
    parts = asked["inference_stats"]
    assert parts["success"]["count"] == parts["queue"]["count"] == parts["compute_infer"]["count"] == 4
    assert parts["success"]["ns"] == pytest.approx(parts["queue"]["ns"] + parts["compute_infer"]["ns"], abs=2)
    assert parts["fail"] == {"count": 0, "ns": 0}
    assert both[0]["inference_stats"]["success"]["count"] == 0


async def test_head_works_wherever_get_does(client: httpx.AsyncClient) -> None:
    """Every path that can be got has its head."""
    paths = (await client.get("/openapi.json")).json()["paths"]
    found = [path for path, methods in paths.items() if path.startswith("/v2") and "get" in methods]
    assert len(found) == 13
    for path in found:
        own = path.replace("{model}", "tiny.encode").replace("{version}", "1")
        assert (await client.get(own)).status_code == 200
        assert (await client.head(own)).status_code == 200


async def test_parameters_of_paths_are_documented(client: httpx.AsyncClient) -> None:
    """Each parameter of a path is described once, and every operation tells the shape of errors."""
    paths = (await client.get("/openapi.json")).json()["paths"]
    for path, methods in paths.items():
        for operation in methods.values() if path.startswith("/v2") else ():
            names = [item["name"] for item in operation.get("parameters", []) if item["in"] == "path"]
            assert names == [part.strip("{}") for part in path.split("/") if part.startswith("{")]
            content = operation["responses"]["default"]["content"]
            assert content["application/json"]["schema"]["$ref"].endswith("/V2Error")
