"""The same answers in either media type, compressed where that is asked for."""

import gzip
import json
import zlib
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import safetensors.numpy

from tests.app.worlds import LATENTS, app_of, client_of, coupled, put, rows

SAFETENSORS = {"Content-Type": "application/vnd.safetensors"}
ARRAY = np.array(LATENTS, np.float32)


def file_of(**tensors: np.ndarray[Any, Any]) -> bytes:
    """Write tensors by the library; double underscores stand for dots."""
    return safetensors.numpy.save(
        {name.replace("__", "."): np.array(array, order="C") for name, array in tensors.items()}
    )


def metadata_of(body: bytes) -> Any:
    """Read the metadata of a file."""
    return json.loads(body[8 : 8 + int.from_bytes(body[:8], "little")])["__metadata__"]


async def test_encode_and_factors_and_back(client: httpx.AsyncClient) -> None:
    """Each flow endpoint takes a safetensors file and answers with one, whose tensors are the fields of its JSON."""
    answer = await client.post("/encode", content=file_of(latents=ARRAY), headers=SAFETENSORS)
    assert answer.headers["content-type"] == "application/vnd.safetensors"
    assert metadata_of(answer.content) == {"model": "tiny", "version": "1"}
    expected = (await client.post("/encode", json={"latents": LATENTS})).json()
    encoded = safetensors.numpy.load(answer.content)
    assert encoded.keys() == {"codes", "logdet", "log_likelihood"}
    for name, array in encoded.items():
        np.testing.assert_array_equal(array, np.array(expected[name], np.float32))

    answer = await client.post("/factors", content=file_of(latents=ARRAY), headers=SAFETENSORS)
    factors = safetensors.numpy.load(answer.content)
    assert factors.keys() == {f"factors.{name}" for name in ("residual", "digit", "color")} | {
        "logdet",
        "log_likelihood",
    }
    given = {name: array for name, array in factors.items() if name.startswith("factors.")}
    for body in (file_of(codes=encoded["codes"]), safetensors.numpy.save(given)):
        answer = await client.post("/invert?check=true", content=body, headers=SAFETENSORS)
        back = safetensors.numpy.load(answer.content)
        assert back.keys() == {"latents", "round_trip_error"}
        np.testing.assert_allclose(back["latents"], ARRAY, rtol=1e-6)


@pytest.mark.parametrize(("accept", "media_type"), [("application/json", 0), ("*/*", 1), ("text/html", 1), ("", 1)])
async def test_accept_chooses_the_answer_to_a_file(client: httpx.AsyncClient, accept: str, media_type: int) -> None:
    """A file is answered in JSON, with lists, where Accept likes that better, else by a file."""
    headers = {**SAFETENSORS, "Accept": accept}
    answer = await client.post("/encode", content=file_of(latents=ARRAY), headers=headers)
    assert answer.headers["content-type"] == ["application/json", "application/vnd.safetensors"][media_type]
    assert answer.headers["vary"] == "Accept, Accept-Encoding"
    if media_type == 0:
        assert answer.json() == (await client.post("/encode", json={"latents": LATENTS})).json()


async def test_accept_chooses_the_answer_to_json(client: httpx.AsyncClient) -> None:
    """JSON is answered by a file where Accept asks for one."""
    headers = {"Accept": "application/vnd.safetensors"}
    answer = await client.post("/encode", json={"latents": LATENTS}, headers=headers)
    assert safetensors.numpy.load(answer.content)["codes"].shape == (2, 4)


BAD = [
    (b"latents", 400, None, "length of its header"),
    (file_of(latents=ARRAY)[:-1], 400, None, "as many bytes behind its header"),
    (file_of(codes=ARRAY), 422, "latents", "must be given"),
    (file_of(latents=ARRAY, more=ARRAY), 422, "more", "Fields that exist: latents"),
    (file_of(latents=ARRAY, latents__x=ARRAY), 422, "latents.x", "Fields that exist: latents"),
    (file_of(latents=ARRAY[:, :3]), 422, "latents", "must have the shape [n, 4]. Received: [2, 3]"),
    (file_of(latents=ARRAY[:0]), 422, "latents", "at least one row"),
    (file_of(latents=ARRAY[0, 0]), 422, "latents", "at least one row"),
    (file_of(latents=ARRAY.astype(np.int64)), 422, "latents", "F16, F32, F64. Received: I64"),
    (file_of(latents=np.where(ARRAY > 2, np.nan, ARRAY)), 422, "latents[1][1]", "finite in float32. Received: nan"),
    (file_of(latents=ARRAY.astype(np.float64) * 1e39), 422, "latents[0][0]", "finite in float32. Received: 5e+38"),
]


@pytest.mark.parametrize(("body", "status", "field", "text"), BAD)
async def test_bad_files_are_refused(
    client: httpx.AsyncClient, body: bytes, status: int, field: str | None, text: str
) -> None:
    """What is no file is 400; tensors that break a rule are 422, which names the first entry at fault."""
    answer = await client.post("/encode", content=body, headers=SAFETENSORS)
    assert answer.status_code == status
    problem = answer.json()
    assert text in problem["detail"]
    assert [error["field"] for error in problem["errors"]][:1] == ([field] if field else [])


async def test_factors_by_files_are_refused_by_name(client: httpx.AsyncClient) -> None:
    """Factors that are missing, or are one tensor, are named as in JSON."""
    body = file_of(factors__residual=ARRAY[:, :2], factors__digit=ARRAY[:, :1])
    answer = await client.post("/invert", content=body, headers=SAFETENSORS)
    assert answer.json()["errors"][0]["field"] == "factors.color"
    answer = await client.post("/invert", content=file_of(factors=ARRAY), headers=SAFETENSORS)
    assert "named factors.<name>" in answer.json()["errors"][0]["message"]


async def test_a_file_may_be_larger_than_json(folder: Path) -> None:
    """The limit for JSON is none for files: they do not hold up others."""
    async with client_of(app_of(folder, max_json_bytes=10)) as client:
        assert (await client.post("/encode", content=file_of(latents=ARRAY), headers=SAFETENSORS)).status_code == 200


async def test_large_files_are_split_and_joined(tmp_path: Path) -> None:
    """More rows than one pass takes, in a file that comes compressed, give each row's own answer, bit by bit."""
    put(tmp_path, text="coupled")
    latents = rows(40_000)
    body = gzip.compress(file_of(latents=latents), 1)
    async with client_of(app_of(tmp_path, max_batch_rows=4096)) as client:
        answer = await client.post("/encode", content=body, headers={**SAFETENSORS, "Content-Encoding": "gzip"})
    np.testing.assert_array_equal(safetensors.numpy.load(answer.content)["codes"], coupled().encode(latents)[0])


@pytest.mark.parametrize(
    ("accept_encoding", "count", "coding"),
    [
        ("gzip", 100, "gzip"),
        ("br, gzip;q=0.5", 4000, "gzip"),
        ("gzip;q=0", 100, None),
        ("", 100, None),
        ("gzip", 2, None),
    ],
)
async def test_answers_are_compressed_where_that_is_asked_for(
    client: httpx.AsyncClient, accept_encoding: str, count: int, coding: str | None
) -> None:
    """JSON that is longer than a packet is compressed for who asks for it, and for nobody else."""
    body = {"latents": LATENTS * (count // 2)}
    answer = await client.post("/encode", json=body, headers={"Accept-Encoding": accept_encoding})
    plain = await client.post("/encode", json=body, headers={"Accept-Encoding": "identity"})
    assert answer.headers.get("content-encoding") == coding
    assert "content-encoding" not in plain.headers
    assert answer.json() == plain.json()
    assert (int(answer.headers["content-length"]) < len(plain.content)) == (coding is not None)


async def test_files_are_never_compressed(client: httpx.AsyncClient) -> None:
    """The bytes of floats are sent as they are: compressing them gains next to nothing."""
    body = file_of(latents=np.tile(ARRAY, (500, 1)))
    answer = await client.post("/encode", content=body, headers={**SAFETENSORS, "Accept-Encoding": "gzip"})
    assert "content-encoding" not in answer.headers


JSON_BODY = json.dumps({"factors": {"residual": [[1.5, -2]], "digit": [[3e-4]], "color": [[1]]}}).encode()
FILE_BODY = file_of(factors__residual=ARRAY[:, :2], factors__digit=ARRAY[:, :1], factors__color=ARRAY[:, 3:])


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (JSON_BODY, {}),
        (FILE_BODY, SAFETENSORS),
        (gzip.compress(JSON_BODY, mtime=0), {"Content-Encoding": "gzip"}),
        (gzip.compress(FILE_BODY, mtime=0), {**SAFETENSORS, "Content-Encoding": "gzip"}),
        (zlib.compress(JSON_BODY), {"Content-Encoding": "deflate"}),
    ],
)
async def test_damaged_bodies_are_never_a_bug(client: httpx.AsyncClient, body: bytes, headers: dict[str, str]) -> None:
    """Whichever bytes of a good body are changed, it is answered or refused for what it is, and is no error of ours."""
    assert (await client.post("/invert", content=body, headers=headers)).status_code == 200
    random = np.random.default_rng(0)
    for _ in range(150):
        damaged = bytearray(body)
        for place in random.integers(len(body), size=random.integers(1, 4)):
            damaged[place] = random.integers(256)
        cut = len(body) - int(random.integers(3)) * int(random.integers(len(body)))
        answer = await client.post("/invert", content=bytes(damaged[: max(cut, 0)]), headers=headers)
        assert answer.status_code in {200, 400, 413, 422}, bytes(damaged)
