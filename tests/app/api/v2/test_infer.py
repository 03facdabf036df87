"""Inference in the Open Inference Protocol, driven from outside."""

import gzip
import json
import zlib
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from tests.app.codecs.oip.bodies import body_of, client_read
from tests.app.worlds import FACTORS, LATENTS, app_of, client_of, put, rows

ARRAY = np.array(LATENTS, np.float32)
LENGTH = "Inference-Header-Content-Length"
ENCODE = "/v2/models/tiny.encode/infer"
TENSOR = {"name": "latents", "shape": [2, 4], "datatype": "FP32", "data": LATENTS}


async def ask(
    client: httpx.AsyncClient,
    model: str = "tiny.encode",
    array: np.ndarray[Any, Any] = ARRAY,
    *,
    name: str = "latents",
    way: str = "binary",
    **members: Any,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Ask as clients do, and read the answer as clients do."""
    body, json_bytes = body_of({name: (array, way)}, **members)
    headers = {} if json_bytes is None else {LENGTH: str(json_bytes)}
    answer = await client.post(f"/v2/models/{model}/infer", content=body, headers=headers)
    assert answer.status_code == 200, answer.text
    own = answer.headers.get(LENGTH)
    assert answer.headers["content-type"] == ("application/octet-stream" if own else "application/json")
    return client_read(answer.content, int(own) if own else None)


async def expected(client: httpx.AsyncClient, path: str = "/encode", **body: Any) -> dict[str, Any]:
    """What the flow endpoint answers."""
    answer = (await client.post(path, json=body or {"latents": LATENTS})).json()
    return {name: value for name, value in answer.items() if name not in {"model", "version"}}


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("way", ["binary", "flat", "nested"])
async def test_all_three_models(client: httpx.AsyncClient, way: str, binary: bool) -> None:
    """Each flow answers as three models, bytes or numbers in, bytes or numbers out, with the flow endpoints' values."""
    wanted: dict[str, Any] = {"way": way, "parameters": {"binary_data_output": binary}}
    head, found = await ask(client, **wanted)
    assert (head["model_name"], head["model_version"]) == ("tiny.encode", "1")
    own = await expected(client)
    assert list(found) == ["codes", "logdet", "log_likelihood"]
    for name, array in found.items():
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, np.array(own[name], np.float32))

    _, factors = await ask(client, "tiny.factors", **wanted)
    assert list(factors) == [*FACTORS, "logdet", "log_likelihood"]
    for name, array in factors.items():
        own = await expected(client, "/factors")
        np.testing.assert_array_equal(array, np.array({**own["factors"], **own}[name], np.float32))

    _, back = await ask(client, "tiny.invert", found["codes"], name="codes", **wanted)
    np.testing.assert_allclose(back["latents"], ARRAY, rtol=1e-6)


async def test_outputs_are_chosen_one_by_one(client: httpx.AsyncClient) -> None:
    """Those that are listed come, in their order, each as it says or else as the request says for all."""
    outputs = [{"name": "logdet", "parameters": {"binary_data": False}}, {"name": "codes"}]
    head, found = await ask(client, outputs=outputs, parameters={"binary_data_output": True})
    assert list(found) == ["logdet", "codes"]
    assert ["data" in output for output in head["outputs"]] == [True, False]
    head, _ = await ask(client, outputs=[{"name": "codes"}])
    assert "data" in head["outputs"][0]


@pytest.mark.parametrize("datatype", ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"])
@pytest.mark.parametrize("way", ["binary", "flat"])
async def test_any_number_comes_in_and_the_flows_comes_out(client: httpx.AsyncClient, datatype: str, way: str) -> None:
    """Every datatype of numbers is read, and the answer is in the flow's."""
    array = np.arange(8).reshape(2, 4).astype(datatype)
    _, found = await ask(client, array=array, way=way)
    own = await expected(client, latents=array.tolist())
    assert found["codes"].dtype == np.float32
    np.testing.assert_array_equal(found["codes"], np.array(own["codes"], np.float32))


async def test_a_flow_in_double_precision(tmp_path: Path) -> None:
    """The answer of a flow in float64 is FP64, and so are the rows of a raw request."""
    put(tmp_path, text="coupled")
    async with client_of(app_of(tmp_path)) as client:
        _, found = await ask(client, array=rows(3))
        raw = await client.post(ENCODE, content=rows(3).tobytes(), headers={LENGTH: "0"})
    assert found["codes"].dtype == np.float64
    _, again = client_read(raw.content, int(raw.headers[LENGTH]))
    np.testing.assert_array_equal(again["codes"], found["codes"])


async def test_a_raw_request(client: httpx.AsyncClient) -> None:
    """The rows' bytes alone are a request for all outputs, which come as bytes."""
    answer = await client.post(ENCODE, content=ARRAY.tobytes(), headers={LENGTH: "0"})
    _, found = client_read(answer.content, int(answer.headers[LENGTH]))
    assert {name: array.shape for name, array in found.items()} == {
        "codes": (2, 4),
        "logdet": (2,),
        "log_likelihood": (2,),
    }
    answer = await client.post(ENCODE, content=ARRAY.tobytes()[:-1], headers={LENGTH: "0"})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid-input")
    assert "raw rows of 4 FP32, 16 bytes each. Received: 31 bytes" in answer.json()["error"]


async def test_images_go_in_and_come_out(tmp_path: Path) -> None:
    """Latents [n, H, W, C] keep their shape, in a raw request too; a flow without a layout has no factors."""
    put(tmp_path, "image", text="image")
    images = rows(3).reshape(3, 2, 2, 1).astype(np.float32)
    async with client_of(app_of(tmp_path)) as client:
        _, found = await ask(client, "image.encode", images)
        assert found["codes"].shape == (3, 2, 2, 1)
        raw = await client.post("/v2/models/image.encode/infer", content=images.tobytes(), headers={LENGTH: "0"})
        assert client_read(raw.content, int(raw.headers[LENGTH]))[1]["codes"].shape == (3, 2, 2, 1)
        for path in ("/infer", "", "/ready", "/config"):
            method = "POST" if path == "/infer" else "GET"
            answer = await client.request(method, f"/v2/models/image.factors{path}", content=b"{}")
            assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
            assert "[[factors]]" in answer.json()["error"]


async def test_a_version_is_named(folder: Path) -> None:
    """Without a version the highest that is READY answers; any can be named."""
    put(folder, version="3", text="coupled")
    put(folder, version="10", text="?")
    async with client_of(app_of(folder)) as client:
        assert (await ask(client))[0]["model_version"] == "3"
        for version in ("1", "01"):
            assert (await ask(client, f"tiny.encode/versions/{version}"))[0]["model_version"] == "1"
        answer = await client.post("/v2/models/tiny.encode/versions/10/infer", json={"inputs": [TENSOR]})
    assert (answer.status_code, answer.json()["code"], answer.json()["ready"]) == (503, "not-ready", False)
    assert int(answer.headers["Retry-After"]) > 0


async def test_an_id_comes_back(client: httpx.AsyncClient) -> None:
    """The id comes back as it was given; without one, it is the id of the request in the log."""
    for identity in ("a b é \u2028", ""):
        for binary in (True, False):
            head, _ = await ask(client, id=identity, parameters={"binary_data_output": binary})
            assert head["id"] == identity
    answer = await client.post(ENCODE, json={"inputs": [TENSOR]}, headers={"X-Request-ID": "abc"})
    assert (answer.json()["id"], answer.headers["x-request-id"]) == ("abc", "abc")


@pytest.mark.parametrize("content_type", ["", "application/octet-stream", "text/plain", "application/vnd.safetensors"])
async def test_the_content_type_plays_no_role(client: httpx.AsyncClient, content_type: str) -> None:
    """Clients of the protocol send any Content-Type, or none, and query parameters of their own."""
    body = json.dumps({"inputs": [TENSOR]})
    headers = {"Content-Type": content_type, "test_2": "x"}
    answer = await client.post(f"{ENCODE}?test_1=1&test_1=2", content=body, headers=headers)
    assert answer.status_code == 200


@pytest.mark.parametrize(("coding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
@pytest.mark.parametrize("way", ["binary", "flat"])
async def test_compressed_bodies(client: httpx.AsyncClient, coding: str, compress: Any, way: str) -> None:
    """The header counts the JSON's bytes before they were compressed; JSON answers are compressed for who asks."""
    array = np.tile(ARRAY, (100, 1))
    body, json_bytes = body_of({"latents": (array, way)})
    headers = {"Content-Encoding": coding, "Accept-Encoding": coding}
    headers |= {} if json_bytes is None else {LENGTH: str(json_bytes)}
    answer = await client.post(ENCODE, content=compress(body), headers=headers)
    assert (answer.status_code, answer.headers["content-encoding"]) == (200, coding)
    assert int(answer.headers["content-length"]) < len(answer.content)
    plain = await client.post(ENCODE, content=compress(body), headers={**headers, "Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.json()["outputs"] == answer.json()["outputs"]


async def test_bodies_may_come_in_chunks(client: httpx.AsyncClient) -> None:
    """A body without a Content-Length is read to its end."""
    body, json_bytes = body_of({"latents": (ARRAY, "binary")})

    async def chunks() -> Any:
        for start in range(0, len(body), 50):
            yield body[start : start + 50]

    answer = await client.post(ENCODE, content=chunks(), headers={LENGTH: str(json_bytes)})
    assert answer.status_code == 200


async def test_large_requests_are_split_and_joined(client: httpx.AsyncClient) -> None:
    """More rows than one pass takes give each row's own answer, in order, read and written beside the loop."""
    array = rows(40_000).astype(np.float32)
    _, found = await ask(client, array=array, parameters={"binary_data_output": True})
    _, numbers = await ask(client, array=array, way="flat")
    for name, values in found.items():
        np.testing.assert_array_equal(values, numbers[name])
    _, last = await ask(client, array=array[-1:])
    np.testing.assert_array_equal(found["codes"][-1:], last["codes"])


async def test_a_timeout_shortens_the_deadline(client: httpx.AsyncClient, folder: Path) -> None:
    """A timeout in microseconds that passes is 504; a longer one than the server's changes nothing."""
    answer = await client.post(ENCODE, json={"inputs": [TENSOR], "parameters": {"timeout": 1}})
    assert (answer.status_code, answer.json()["code"]) == (504, "deadline-exceeded")
    for timeout in (0, 10_000_000, 2**63 - 1):
        await ask(client, parameters={"timeout": timeout})
    async with client_of(app_of(folder, request_timeout_s=1e-9)) as hasty:
        answer = await hasty.post(ENCODE, json={"inputs": [TENSOR], "parameters": {"timeout": 10**9}})
    assert answer.status_code == 504


BAD = [
    ({}, {}, "malformed-body", "must be JSON"),
    ({"inputs": []}, {}, "invalid-input", "inputs: must be the one tensor latents of tiny.encode. Received: none"),
    ({"inputs": [TENSOR, TENSOR]}, {}, "invalid-input", "Received: latents, latents"),
    ({"inputs": [{**TENSOR, "name": "codes"}]}, {}, "invalid-input", "Received: codes"),
    (
        {"inputs": [{**TENSOR, "shape": [4, 2]}]},
        {},
        "invalid-input",
        "nested by its shape [4, 2]. Received: data of [2, 4]",
    ),
    (
        {"inputs": [{**TENSOR, "shape": [4, 2], "data": [0] * 8}]},
        {},
        "invalid-input",
        "latents: must have the shape [n, 4]. Received: [4, 2]",
    ),
    ({"inputs": [TENSOR], "outputs": [{"name": "latents"}]}, {}, "invalid-input", "must be among codes, logdet"),
    ({"inputs": [{**TENSOR, "datatype": "BYTES"}]}, {}, "invalid-input", "latents: must have the datatype FP16"),
    (
        {"inputs": [{**TENSOR, "data": [[0, 0, 0, 0], [0, 1e39, 0, 0]]}]},
        {},
        "invalid-input",
        "latents[1][1]: must be finite in float32",
    ),
    (
        {"inputs": [{**TENSOR, "data": [[0] * 4, [0, 0, 0, 2e38]]}]},
        {},
        "invalid-input",
        "latents: the results must be finite in float32, but these rows overflow: 1",
    ),
    (
        {"inputs": [{**TENSOR, "shape": [10**2200, 10**2200]}], "a": float("nan")},
        {},
        "invalid-input",
        "inputs[0].shape: must be a list of integers",
    ),
    ({"inputs": [TENSOR]}, {LENGTH: "x"}, "malformed-body", "must be the bytes of JSON in the body. Received: x"),
    ({"inputs": [TENSOR]}, {LENGTH: "-1"}, "malformed-body", "Received: -1"),
    ({"inputs": [TENSOR]}, {LENGTH: "9" * 19}, "malformed-body", "Received: 9"),
    ({"inputs": [TENSOR]}, {LENGTH: "100000"}, "malformed-body", "100000 bytes of JSON in a body of"),
    ({"inputs": [TENSOR]}, {"Content-Encoding": "gzip"}, "malformed-body", "must be gzip"),
]


@pytest.mark.parametrize(("body", "headers", "code", "text"), BAD)
async def test_bad_requests(
    client: httpx.AsyncClient, body: dict[str, Any], headers: dict[str, str], code: str, text: str
) -> None:
    """Whatever is wrong with a request is 400 in the protocol's shape, with what must hold and what came."""
    answer = await client.post(ENCODE, content=json.dumps(body) if body else b"", headers=headers)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/json"
    assert list(answer.json()) == ["error", "code", "request_id"]
    assert answer.json()["code"] == code
    assert text in answer.json()["error"]
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize(
    "name", ["nobody.encode", "tiny", "tiny.nope", "tiny.encode.encode", ".encode", "encode", "tiny.encode/versions/x"]
)
async def test_unknown_models(client: httpx.AsyncClient, name: str) -> None:
    """A model that does not exist is 404 in the words that clients look for, and those that exist are listed."""
    for method, path in (("POST", "/infer"), ("GET", ""), ("GET", "/ready"), ("GET", "/config"), ("GET", "/stats")):
        answer = await client.request(method, f"/v2/models/{name}{path}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not-found")
        assert answer.json()["error"].startswith("Request for unknown model")
        assert ("Versions that exist: 1" if "versions" in name else "tiny.encode, tiny.factors") in answer.text


async def test_other_statuses(folder: Path) -> None:
    """What is too large, or compressed in another way, and paths and methods that do not exist, have their own statuses."""
    async with client_of(app_of(folder, max_rows=1, max_json_bytes=600, max_body_bytes=700)) as client:
        answer = await client.post(ENCODE, json={"inputs": [TENSOR]})
        assert (answer.status_code, answer.json()["code"]) == (413, "too-large")
        assert "at most 1 rows. Received: 2" in answer.json()["error"]
        for size, headers in ((601, {}), (701, {LENGTH: "5"}), (650, {LENGTH: "601"})):
            answer = await client.post(ENCODE, content=b" " * size, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (413, "too-large")
        answer = await client.post(ENCODE, content=b"x", headers={"Content-Encoding": "br"})
        assert (answer.status_code, answer.json()["code"]) == (415, "unsupported-media-type")
        assert answer.headers["accept-encoding"] == "gzip, deflate"
        answer = await client.get(ENCODE)
        assert (answer.status_code, answer.json()["code"], answer.headers["allow"]) == (
            405,
            "method-not-allowed",
            "POST",
        )
        for path in ("/v2/nope", "/v2/models/tiny.encode/nope", "/v2/"):
            answer = await client.get(path)
            assert (answer.status_code, answer.json()["code"]) == (404, "not-found")
        assert (await client.get("/v2nope")).headers["content-type"] == "application/problem+json"


async def test_a_bug_has_the_protocols_shape(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that nobody foresaw is 500 in the protocol's shape, and tells nothing of the inside."""
    monkeypatch.setattr("app.api.v2.infer.parsed", None)
    answer = await client.post(ENCODE, json={"inputs": [TENSOR]})
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "NoneType" not in answer.text


async def test_damaged_bodies_are_never_a_bug(client: httpx.AsyncClient) -> None:
    """Whichever bytes of a good body are changed, it is answered or refused for what it is."""
    body, json_bytes = body_of({"latents": (ARRAY, "binary")}, id="a", outputs=[{"name": "codes"}])
    random = np.random.default_rng(0)
    for _ in range(300):
        damaged = bytearray(body)
        for place in random.integers(len(body), size=random.integers(1, 4)):
            damaged[place] = random.integers(256)
        answer = await client.post(ENCODE, content=bytes(damaged), headers={LENGTH: str(json_bytes)})
        assert answer.status_code in {200, 400, 413}, bytes(damaged)
