"""The flow endpoints, driven from outside."""

import base64
import json
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from tests.app.worlds import FACTORS, LATENTS, LOCATION, SCALE, app_of, client_of, coupled, put, rows

CODES = (np.array(LATENTS) - LOCATION) * SCALE
LOG_LIKELIHOOD = -0.5 * (np.square(CODES).sum(axis=1) + 4 * np.log(2 * np.pi)) + np.log(4)
ADDRESSES = ("", "/models/tiny", "/models/tiny/versions/1", "/models/tiny/versions/01")


def base64_of(array: np.ndarray[Any, Any]) -> dict[str, object]:
    """Write an array as its base64 form."""
    data = base64.b64encode(array.tobytes()).decode()
    return {"dtype": array.dtype.name, "shape": list(array.shape), "base64": data}


def array_of(tensor: dict[str, Any]) -> np.ndarray[Any, Any]:
    """Read a base64 form."""
    return np.frombuffer(base64.b64decode(tensor["base64"]), tensor["dtype"]).reshape(tensor["shape"])


@pytest.mark.parametrize("prefix", ADDRESSES)
async def test_encode_gives_codes_logdet_and_likelihood(client: httpx.AsyncClient, prefix: str) -> None:
    """POST /encode maps latents to codes, logdet and log likelihood, below every prefix."""
    answer = await client.post(f"{prefix}/encode", json={"latents": LATENTS})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert list(body) == ["model", "version", "codes", "logdet", "log_likelihood"]
    assert (body["model"], body["version"]) == ("tiny", "1")
    np.testing.assert_allclose(body["codes"], CODES, rtol=1e-6)
    np.testing.assert_allclose(body["logdet"], [np.log(4)] * 2, rtol=1e-6)
    np.testing.assert_allclose(body["log_likelihood"], LOG_LIKELIHOOD, rtol=1e-6)


@pytest.mark.parametrize("prefix", ADDRESSES)
async def test_factors_and_back(client: httpx.AsyncClient, prefix: str) -> None:
    """POST /factors cuts the codes by name; POST /invert puts them together and undoes the flow."""
    answer = (await client.post(f"{prefix}/factors", json={"latents": LATENTS})).json()
    assert {name: np.shape(factor) for name, factor in answer["factors"].items()} == {
        name: (2, size) for name, size in FACTORS.items()
    }
    np.testing.assert_allclose(np.concatenate(list(answer["factors"].values()), axis=1), CODES, rtol=1e-6)
    back = await client.post(f"{prefix}/invert", json={"factors": dict(reversed(answer["factors"].items()))})
    assert list(back.json()) == ["model", "version", "latents"]
    np.testing.assert_allclose(back.json()["latents"], LATENTS, rtol=1e-6)


@pytest.mark.parametrize("prefix", ADDRESSES)
async def test_get_factors_shows_the_layout(client: httpx.AsyncClient, prefix: str) -> None:
    """GET /factors lists name, start and size of every factor in order, and HEAD answers too."""
    body = (await client.get(f"{prefix}/factors")).json()
    assert (body["model"], body["version"], body["size"]) == ("tiny", "1", 4)
    assert [(factor["name"], factor["start"], factor["size"]) for factor in body["factors"]] == [
        ("residual", 0, 2),
        ("digit", 2, 1),
        ("color", 3, 1),
    ]
    assert (await client.head(f"{prefix}/factors")).status_code == 200


async def test_check_reports_the_round_trip_error(client: httpx.AsyncClient) -> None:
    """With ?check=true each row tells how far encoding its latent again is from its code."""
    body = (await client.post("/invert?check=true", json={"codes": LATENTS})).json()
    assert len(body["round_trip_error"]) == 2
    assert 0 <= max(body["round_trip_error"]) < 1e-5
    assert "round_trip_error" not in (await client.post("/invert?check=false", json={"codes": LATENTS})).json()


async def test_base64_in_base64_out(client: httpx.AsyncClient) -> None:
    """Tensors answer in the form of the request's first tensor, in the flow's dtype; per-row numbers stay lists."""
    latents = base64_of(np.array(LATENTS, np.float64))
    body = (await client.post("/factors", json={"latents": latents})).json()
    assert body["factors"]["residual"]["dtype"] == "float32"
    np.testing.assert_allclose(array_of(body["factors"]["residual"]), CODES[:, :2], rtol=1e-6)
    assert isinstance(body["logdet"], list)
    back = (await client.post("/invert", json={"factors": body["factors"]})).json()
    np.testing.assert_allclose(array_of(back["latents"]), LATENTS, rtol=1e-6)


async def test_floats_are_printed_in_the_shortest_form(client: httpx.AsyncClient) -> None:
    """A float32 is printed with no more digits than it takes to read the same float32 again."""
    answer = await client.post("/encode", json={"latents": [[0.1, 0, 0.2, 0.125]]})
    assert b'"codes":[[0.1,-2.0,-0.6,-1.5]]' in answer.content


async def test_images_are_encoded_and_have_no_factors(tmp_path: Path) -> None:
    """Latents [n, H, W, C] keep their shape; without a factor layout codes still work, and factors are a conflict."""
    put(tmp_path, "image", text="image")
    async with client_of(app_of(tmp_path)) as client:
        images = rows(3).reshape(3, 2, 2, 1).tolist()
        codes = (await client.post("/encode", json={"latents": images})).json()["codes"]
        assert np.shape(codes) == (3, 2, 2, 1)
        latents = (await client.post("/invert", json={"codes": codes})).json()["latents"]
        np.testing.assert_allclose(latents, images, rtol=1e-4, atol=1e-6)
        for answer in (
            await client.get("/factors"),
            await client.post("/factors", json={"latents": images}),
            await client.post("/invert", json={"factors": {"a": [[1]]}}),
        ):
            assert (answer.status_code, answer.json()["type"]) == (409, "urn:gyoza:conflict")
            assert "[[factors]]" in answer.json()["detail"]


async def test_large_requests_are_split_and_joined(tmp_path: Path) -> None:
    """More rows than one pass takes, in a body that is parsed beside the loop, give each row's own answer, in order."""
    put(tmp_path, text="coupled")
    latents = rows(15_001)
    codes, logdet = coupled().encode(latents)
    async with client_of(app_of(tmp_path)) as client:
        body = (await client.post("/encode", json={"latents": latents.tolist()})).json()
    np.testing.assert_allclose(body["codes"], codes, rtol=1e-12)
    np.testing.assert_allclose(body["logdet"], logdet, rtol=1e-12)


async def test_large_base64_answers(tmp_path: Path) -> None:
    """The same holds for base64 tensors of float64, bit by bit."""
    put(tmp_path, text="coupled")
    async with client_of(app_of(tmp_path, max_batch_rows=4096)) as client:
        body = (await client.post("/encode", json={"latents": base64_of(rows(4000))})).json()
    np.testing.assert_array_equal(array_of(body["codes"]), coupled().encode(rows(4000))[0])


T = LATENTS
WIDE = "must have the shape [n, 4]"
BAD_VALUES = [
    ([[1, 2, 3]], "latents", WIDE),
    ([1, 2, 3, 4], "latents", WIDE),
    ([[[1, 2, 3, 4]]], "latents", WIDE),
    ([[1, 2, 3, 4], [1, 2, 3]], "latents[1]", "4 entries"),
    ([[1, 2, 3, 4], 5], "latents[1]", "must be a list"),
    ([[1, 2, 3, [4]]], "latents[0][3]", "must be a number"),
    ([[1, 2, 3, "4"]], "latents[0][3]", "must be a number"),
    ([[1, 2, 3, True]], "latents[0][3]", "Received: true"),
    ([[1, 2, 3, None]], "latents[0][3]", "Received: null"),
    ([[1, 2, 3, {}]], "latents[0][3]", "an object"),
    ([[1, 2, 3, 4], [1, 1e39, 3, 1e40]], "latents[1][1]", "finite in float32"),
    ([[1, 2, 3, 10**400]], "latents[0][3]", "finite in float32"),
    ([[1, 2, float("nan"), 4]], "latents[0][2]", "finite in float32"),
    ([[1, 2, float("-inf"), 4]], "latents[0][2]", "finite in float32"),
    ([], "latents", "must hold at least one row and one number in it. Received: an empty list"),
    ([[]], "latents[0]", "must hold at least one row and one number in it. Received: an empty list"),
    (3, "latents", "nested lists of numbers"),
    (None, "latents", "nested lists of numbers"),
    (True, "latents", "nested lists of numbers"),
    ("[[1, 2, 3, 4]]", "latents", "nested lists of numbers"),
    ({"shape": [1, 4]}, "latents", "nested lists of numbers"),
    (base64_of(np.full((1, 4), np.inf, np.float32)), "latents[0][0]", "finite"),
    (base64_of(np.array([[1, 2, 3, 1e39]])), "latents[0][3]", "finite in float32"),
    ({**base64_of(np.zeros((1, 4))), "dtype": "int64"}, "latents", "float16, float32, float64"),
    ({**base64_of(np.zeros((1, 4))), "shape": [0, 4]}, "latents", "1 or more"),
    ({**base64_of(np.zeros((1, 4))), "shape": [True, 4]}, "latents", "1 or more"),
    ({**base64_of(np.zeros((1, 4))), "shape": "1,4"}, "latents", "list of integers"),
    ({**base64_of(np.zeros((1, 4))), "base64": 7}, "latents", "base64 must be a text"),
]


@pytest.mark.parametrize(("value", "field", "text"), BAD_VALUES)
async def test_bad_tensors_are_refused_by_index(client: httpx.AsyncClient, value: Any, field: str, text: str) -> None:
    """A tensor that breaks a rule is 422, and the answer names the first entry at fault and the rule."""
    answer = await client.post("/encode", content=json.dumps({"latents": value}))
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:gyoza:invalid-input")
    (error,) = answer.json()["errors"]
    assert error["field"] == field
    assert text in error["message"]
    assert error["message"] in answer.json()["detail"]


BAD_FIELDS = [
    ("/encode", {}, "latents", "must be given"),
    ("/encode", {"latents": T, "x": 1}, "x", "Fields that exist: latents"),
    ("/encode", [], "body", "must be a JSON object. Received: an array"),
    ("/encode", None, "body", "Received: null"),
    ("/invert", {}, "body", "either codes or factors"),
    ("/invert", {"codes": T, "factors": {"residual": T}}, "body", "not both"),
    ("/invert", {"codes": None}, "codes", "nested lists of numbers"),
    ("/invert", {"codes": None}, "codes", "Received: null"),
    ("/invert", {"factors": None}, "factors", "must be an object of tensors by name. Received: null"),
    ("/invert", {"codes": [[1]]}, "codes", WIDE),
    ("/invert", {"factors": [[1]]}, "factors", "object of tensors by name"),
    ("/invert", {"factors": {}}, "factors.residual", "missing"),
    ("/invert", {"factors": {"residual": [[1, 2]], "digit": [["x"]], "color": [[1]]}}, "factors.digit[0][0]", "number"),
    (
        "/invert",
        {"factors": {"residual": [[1, 2]], "digit": [[1]], "hue": [[1]]}},
        "factors.hue",
        "residual, digit, color",
    ),
    ("/invert", {"factors": {"residual": [[1, 2]], "digit": [[1]]}}, "factors.color", "missing"),
    ("/invert", {"factors": {"residual": [[1, 2]], "digit": [[1, 2]], "color": [[1]]}}, "factors.digit", "[1, 1]"),
    ("/invert", {"factors": {"residual": [[1, 2]], "digit": [[1], [2]], "color": [[1]]}}, "factors.digit", "[1, 1]"),
    ("/invert?check=maybe", {"codes": T}, "check", "true or false"),
]


@pytest.mark.parametrize(("path", "body", "field", "text"), BAD_FIELDS)
async def test_bad_fields_are_refused_by_name(
    client: httpx.AsyncClient, path: str, body: Any, field: str, text: str
) -> None:
    """A field that is unknown, missing or does not fit the others is 422, and is named with what must hold."""
    answer = await client.post(path, content=json.dumps(body))
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:gyoza:invalid-input")
    assert answer.json()["errors"][0]["field"] == field
    assert text in answer.json()["errors"][0]["message"]


RAW = '{"factors": {"residual": [[1, 2]], "digit": [[1]], "color": [[1]], "digit": [[2]]}}'
BAD_BODIES = [
    ("/encode", b"", 400, "must be JSON"),
    ("/encode", b"latents=1", 400, "must be JSON"),
    ("/encode", b'{"latents": [[1, 2, 3, 4]]', 400, "must be JSON"),
    ("/encode", b'{"latents": [[1, 2, 3, 4]],}', 400, "must be JSON"),
    ("/encode", b'\xff\xfe{"latents', 400, "must be JSON"),
    ("/encode", b"[" * 200_000, 400, "nested less deeply"),
    ("/encode", b'{"latents": ' + b"[" * 500 + b"1" + b"]" * 500 + b"}", 422, "at most 32 axes"),
    ("/encode", b'{"latents": [[1, 2, 3, ' + b"9" * 5000 + b"]]}", 400, "must be JSON"),
    ("/encode", b'{"latents": [[1, 2, 3, 1e400]]}', 422, "latents[0][3]"),
    ("/encode", b'{"latents": [[1, 2, 3, 4]], "\\ud800": 1}', 422, "unicode"),
    ("/encode", b'{"latents": {"dtype": "float32", "shape": [1, 4], "base64": "AAA!"}}', 400, "base64"),
    ("/encode", '{"latents": {"dtype": "float32", "shape": [1, 4], "base64": "é"}}'.encode(), 400, "base64"),
    ("/encode", b'{"latents": {"dtype": "float32", "shape": [1, 4], "base64": "AAAA"}}', 400, "16 bytes. Received: 3"),
    ("/invert", RAW.encode(), 422, "digit: must be given once"),
]


@pytest.mark.parametrize(("path", "content", "status", "text"), BAD_BODIES)
async def test_bad_bodies_get_their_status(
    client: httpx.AsyncClient, path: str, content: bytes, status: int, text: str
) -> None:
    """Bytes that no JSON reader takes are 400; what only a lenient one takes is 422 and says where it breaks a rule."""
    answer = await client.post(path, content=content)
    assert answer.status_code == status
    assert answer.json()["type"] == {400: "urn:gyoza:malformed-body", 422: "urn:gyoza:invalid-input"}[status]
    assert text in answer.json()["detail"]
    assert len(answer.content) < 2000


async def test_results_that_overflow_are_refused(client: httpx.AsyncClient) -> None:
    """Rows whose results are not finite are 422 and named; nothing that is not finite is sent."""
    latents = [[0, 0, 0, 0], [0, 0, 0, 2e38], [0, 0, 0, 1e30]]
    answer = await client.post("/encode", json={"latents": latents})
    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {
            "field": "latents",
            "message": "the results must be finite in float32, but these rows overflow: 1, 2; scale them down",
        }
    ]
    many = (await client.post("/encode", json={"latents": [[0, 0, 0, 2e38]] * 40})).json()
    assert "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 … (40 in all)" in many["detail"]


async def test_a_round_trip_that_overflows_is_refused(tmp_path: Path) -> None:
    """A round-trip error that is not finite is 422 too."""
    put(tmp_path, text="one way")
    async with client_of(app_of(tmp_path)) as client:
        assert (await client.post("/invert", json={"codes": [[1e20] * 4]})).status_code == 200
        answer = await client.post("/invert?check=true", json={"codes": [[1e20] * 4]})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "codes"


async def test_too_many_rows_are_refused(folder: Path) -> None:
    """More rows than the limit are 413, which states the limit and the rows; as many as the limit pass."""
    async with client_of(app_of(folder, max_rows=3)) as client:
        assert (await client.post("/encode", json={"latents": [[0] * 4] * 3})).status_code == 200
        answer = await client.post("/encode", json={"latents": [[0] * 4] * 4})
    assert (answer.status_code, answer.json()["type"]) == (413, "urn:gyoza:too-large")
    assert "at most 3 rows. Received: 4" in answer.json()["detail"]


async def test_decoding_needs_a_decoder(client: httpx.AsyncClient) -> None:
    """?decode=true is a conflict for a model without a decoder, never silently left out."""
    answer = await client.post("/invert?decode=true", json={"codes": LATENTS})
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:gyoza:conflict")


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/models/nobody/encode", "Models that exist: tiny"),
        ("/models/tiny/versions/2/encode", "Versions that exist: 1"),
        ("/models/tiny/versions/x/encode", "Versions that exist: 1"),
        ("/models/tiny/versions/-1/encode", "Versions that exist: 1"),
        ("/models/tiny/versions/" + "1" * 5000 + "/encode", "Versions that exist: 1"),
        ("/models/..%2f..%2fetc/encode", "There is no"),
    ],
)
async def test_unknown_models_and_versions(client: httpx.AsyncClient, path: str, text: str) -> None:
    """A name or version that does not exist is 404, which lists those that do."""
    answer = await client.post(path, json={"latents": LATENTS})
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:gyoza:not-found")
    assert text in answer.json()["detail"]


async def test_an_expired_deadline(folder: Path) -> None:
    """A request that can't be answered in time is 504."""
    async with client_of(app_of(folder, request_timeout_s=1e-9)) as client:
        answer = await client.post("/encode", json={"latents": LATENTS})
    assert (answer.status_code, answer.json()["type"]) == (504, "urn:gyoza:deadline-exceeded")
