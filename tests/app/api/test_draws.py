"""Samples and traversals, driven from outside and compared with what NumPy makes of codes."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from tests.app.api.test_flows import array_of, base64_of
from tests.app.worlds import LATENTS, app_of, client_of, coupled, decoder, put, put_halves, rows

FLOW = coupled()
ONE = rows(1, 1)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a flow in float64 with a coupling, and of the halves beside it."""
    put_halves(put(tmp_path, text="coupled"), dtype="float64")
    async with client_of(app_of(tmp_path)) as client:
        yield client


def assert_close(found: Any, expected: Any) -> None:
    """Two arrays are the same but for rounding."""
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


async def test_a_sample_is_the_frozen_stream(world: httpx.AsyncClient) -> None:
    """The codes are the first numbers of NumPy's stream, the latents their inverses, with log likelihoods."""
    body = (await world.post("/sample", json={"count": 9, "seed": 12})).json()
    assert list(body) == ["model", "version", "seed", "latents", "codes", "log_likelihood"]
    codes = np.random.RandomState(12).standard_normal(36).reshape(9, 4)
    again, logdet = FLOW.encode(FLOW.invert(codes))
    assert body["seed"] == 12
    assert_close(body["codes"], codes)
    assert_close(body["latents"], FLOW.invert(codes))
    assert_close(body["log_likelihood"], -0.5 * (np.square(again).sum(axis=1) + 4 * np.log(2 * np.pi)) + logdet)


async def test_the_same_numbers_in_any_batch(world: httpx.AsyncClient) -> None:
    """A larger count begins with the codes of a smaller one: draws depend on the seed alone."""
    few, many = [(await world.post("/sample", json={"count": n, "seed": 5})).json()["codes"] for n in (3, 30)]
    assert many[:3] == few


async def test_factors_are_held(world: httpx.AsyncClient) -> None:
    """Held factors take the place of what was drawn for them, one row for all or one for each; the rest stays drawn."""
    held = {"digit": [[7.0]], "residual": rows(3, 2)[:, :2].tolist()}
    body = (await world.post("/sample?decode=true", json={"count": 3, "seed": 5, "factors": held})).json()
    codes = np.random.RandomState(5).standard_normal(12).reshape(3, 4)
    codes[:, :2], codes[:, 2] = held["residual"], 7
    assert_close(body["codes"], codes)
    assert_close(body["outputs"], decoder(dtype="float64")(FLOW.invert(codes)))


async def test_held_factors_choose_the_form(world: httpx.AsyncClient) -> None:
    """With base64 factors the answer's tensors are base64; without any tensor they are lists."""
    body = {"count": 2, "seed": 1, "factors": {"digit": base64_of(np.ones((1, 1)))}}
    codes = array_of((await world.post("/sample", json=body)).json()["codes"])
    np.testing.assert_array_equal(codes[:, 2], [1, 1])
    assert isinstance((await world.post("/sample", json={"count": 2})).json()["codes"], list)


async def test_a_seed_is_drawn_and_told(world: httpx.AsyncClient) -> None:
    """Without a seed each sample is another one, and the seed that it tells gives it again."""
    first, second = [(await world.post("/sample", json={"count": 2})).json() for _ in range(2)]
    assert first["seed"] != second["seed"]
    again = (await world.post("/sample", json={"count": 2, "seed": first["seed"]})).json()
    assert again["codes"] == first["codes"]


async def test_latents_of_any_shape_are_sampled(tmp_path: Path) -> None:
    """Without a factor layout whole codes are drawn, in their shape; only held factors are a conflict."""
    put(tmp_path, "image", text="image")
    async with client_of(app_of(tmp_path)) as client:
        body = (await client.post("/sample", json={"count": 3, "seed": 1})).json()
        held = await client.post("/sample", json={"count": 3, "factors": {"a": [[1]]}})
    codes = np.random.RandomState(1).standard_normal((3, 2, 2, 1)).astype(np.float32)
    np.testing.assert_array_equal(np.array(body["codes"], np.float32), codes)
    assert np.shape(body["latents"]) == (3, 2, 2, 1)
    assert (held.status_code, held.json()["type"]) == (409, "urn:gyoza:conflict")


def axis(
    factor: str = "residual", dimension: object = 1, first: object = -2, last: object = 2, steps: object = 5
) -> Any:
    """One axis as JSON."""
    return {"factor": factor, "dimension": dimension, "from": first, "to": last, "steps": steps}


async def test_a_traversal_sets_one_dimension(world: httpx.AsyncClient) -> None:
    """Along one axis a dimension takes evenly spaced absolute values, and the rest of the code stays."""
    answer = await world.post("/traverse", json={"latents": ONE.tolist(), "axes": [axis(first=1, last=-1)]})
    body = answer.json()
    assert list(body) == ["model", "version", "positions", "latents"]
    assert body["positions"] == [[1], [0.5], [0], [-0.5], [-1]]
    codes = np.repeat(FLOW.encode(ONE)[0], 5, axis=0)
    codes[:, 1] = [1, 0.5, 0, -0.5, -1]
    assert_close(body["latents"], FLOW.invert(codes))


async def test_a_traversal_spans_a_grid(world: httpx.AsyncClient) -> None:
    """Over two axes the rows are in C order: the second axis runs fastest, and each row tells its position."""
    axes = [axis("color", 0, 0, 1, 2), axis("residual", 0, -1, 1, 3)]
    body = (await world.post("/traverse?decode=true", json={"latents": ONE.tolist(), "axes": axes})).json()
    positions = [[0, -1], [0, 0], [0, 1], [1, -1], [1, 0], [1, 1]]
    assert body["positions"] == positions
    codes = np.repeat(FLOW.encode(ONE)[0], 6, axis=0)
    codes[:, [3, 0]] = positions
    assert_close(body["latents"], FLOW.invert(codes))
    assert_close(body["outputs"], decoder(dtype="float64")(FLOW.invert(codes)))


async def test_positions_are_lists_always(world: httpx.AsyncClient) -> None:
    """Positions are numbers for people, whatever form the tensors have."""
    body = (await world.post("/traverse", json={"latents": base64_of(ONE), "axes": [axis(steps=2)]})).json()
    assert body["positions"] == [[-2], [2]]
    assert array_of(body["latents"]).shape == (2, 4)


BAD = [
    ("sample", {"count": 0}, "count", "must be greater than or equal to 1. Received: 0"),
    ("sample", {"count": 2.5}, "count", "must be a valid integer. Received: 2.5"),
    ("sample", {"count": "2"}, "count", "must be a valid integer. Received: '2'"),
    ("sample", {"count": [[2]]}, "count", "must be a valid integer. Received: a list"),
    ("sample", {"seed": 1}, "count", "missing"),
    ("sample", {"count": 1, "seed": -1}, "seed", "must be greater than or equal to 0"),
    ("sample", {"count": 1, "seed": 2**32}, "seed", "must be less than or equal to 4294967295"),
    ("sample", {"count": 1, "seed": None}, "body", "seed must not be null"),
    ("sample", {"count": 1, "steps": 2}, "steps", "Fields that exist: count, seed, factors"),
    ("sample", {"count": 1, "factors": {"hue": [[1]]}}, "factors.hue", "exist: residual, digit, color"),
    ("sample", {"count": 3, "factors": {"digit": [[1]] * 2}}, "factors.digit", "must have the shape [3, 1]"),
    ("sample", {"count": 3, "factors": {"digit": [[1, 2]]}}, "factors.digit", "must have the shape [n, 1]"),
    ("sample", {"count": 3, "factors": [[1]]}, "factors", "must be an object of tensors by name. Received: a list"),
    ("traverse", {"latents": LATENTS, "axes": [axis()]}, "latents", "must have the shape [1, 4]. Received: [2, 4]"),
    ("traverse", {"axes": []}, "axes", "at least 1 item"),
    ("traverse", {"axes": [axis(), axis("digit", 0), axis("color", 0)]}, "axes", "at most 2 items"),
    ("traverse", {"axes": [axis("hue")]}, "axes.0.factor", "exist: residual, digit, color"),
    ("traverse", {"axes": [axis("digit", 0), axis("color", 1)]}, "axes.1.dimension", "0 … 0 of color. Received: 1"),
    ("traverse", {"axes": [axis(dimension=-1)]}, "axes.0.dimension", "must be greater than or equal to 0"),
    ("traverse", {"axes": [axis(), axis(first=0)]}, "axes.1.dimension", "must be another one"),
    ("traverse", {"axes": [axis(steps=1)]}, "axes.0.steps", "must be greater than or equal to 2. Received: 1"),
    ("traverse", {"axes": [axis(first="a")]}, "axes.0.from", "must be a valid number. Received: 'a'"),
    ("traverse", {"axes": [axis(first=-1.7e308, last=1.7e308)]}, "axes.0", "must be finite in float64"),
    ("traverse", {"axes": [{**axis(), "start": 0}]}, "axes.0.start", "exist: factor, dimension, from, to, steps"),
]


@pytest.mark.parametrize(("name", "body", "field", "message"), BAD)
async def test_what_does_not_fit_is_refused(
    world: httpx.AsyncClient, name: str, body: dict[str, Any], field: str, message: str
) -> None:
    """What is wrong is told with its field, what must hold and what came."""
    latents = {"latents": ONE.tolist()} if name == "traverse" else {}
    answer = await world.post(f"/{name}", json={**latents, **body})
    assert answer.status_code == 422, answer.text
    (error,) = answer.json()["errors"]
    assert error["field"] == field
    assert message in error["message"]


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("sample", {"count": 10**12}),
        ("sample", {"count": 101}),
        ("traverse", {"latents": LATENTS[:1], "axes": [axis(steps=10**15)]}),
        ("traverse", {"latents": LATENTS[:1], "axes": [axis(steps=11), axis("color", 0, steps=10)]}),
    ],
)
async def test_rows_are_counted_before_anything_is_made(tmp_path: Path, name: str, body: dict[str, Any]) -> None:
    """Counts and grids beyond a request's rows are refused, however large they are."""
    put(tmp_path)
    async with client_of(app_of(tmp_path, max_rows=100)) as client:
        answer = await client.post(f"/{name}", json=body)
    assert answer.status_code == 413
    assert "at most 100 rows" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("path", "body", "what"),
    [
        ("/sample", {"count": 65}, "codes"),
        ("/traverse", {"latents": LATENTS[:1], "axes": [axis(steps=65)]}, "latents"),
        ("/sample?decode=true", {"count": 50}, "outputs"),
        ("/traverse?decode=true", {"latents": LATENTS[:1], "axes": [axis(steps=50)]}, "outputs"),
    ],
)
async def test_answers_are_bounded_in_bytes(tmp_path: Path, path: str, body: dict[str, Any], what: str) -> None:
    """A small request for large tensors is refused: they may be as large as a body."""
    put_halves(put(tmp_path))
    async with client_of(app_of(tmp_path, max_body_bytes=1024)) as client:
        answer = await client.post(path, json=body)
    assert answer.status_code == 413
    assert f"The {what} of one answer may have at most 1024 bytes" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/sample", {"count": 33}),
        ("/sample?decode=true", {"count": 19}),
        ("/traverse", {"latents": LATENTS[:1], "axes": [axis(steps=65)]}),
        ("/traverse?decode=true", {"latents": LATENTS[:1], "axes": [axis(steps=26)]}),
    ],
)
async def test_answers_in_json_are_bounded_as_a_whole(tmp_path: Path, path: str, body: dict[str, Any]) -> None:
    """All tensors of an answer that is JSON together may be as large as a body of JSON."""
    put_halves(put(tmp_path))
    async with client_of(app_of(tmp_path, max_json_bytes=1024)) as client:
        answer = await client.post(path, json=body)
        fewer = {"count": body["count"] - 1} if "count" in body else {**body, "axes": [axis(steps=25)]}
        assert (await client.post(path, json=fewer)).status_code == 200
    assert answer.status_code == 413
    assert "may have at most 1024 bytes together" in answer.json()["detail"]


async def test_counts_of_very_many_digits_are_refused(tmp_path: Path) -> None:
    """Counts that take thousands of digits to tell are no numbers of rows, in whichever way they come."""
    put(tmp_path)
    digits = "1" * 2200
    axes = [{**axis(), "steps": int(digits)}, {**axis("color", 0), "steps": int(digits)}]
    async with client_of(app_of(tmp_path)) as client:
        for path, body in {
            "/traverse": {"latents": LATENTS[:1], "axes": axes},
            "/sample": {"count": int(digits)},
        }.items():
            answer = await client.post(
                path, content=b"\xef\xbb\xbf" + json.dumps(body).encode(), headers={"content-type": "application/json"}
            )
            assert answer.status_code == 422


async def test_traversals_need_a_factor_layout(tmp_path: Path) -> None:
    """Without factors there are no axes, and the answer says how to have some."""
    put(tmp_path, text="plain")
    async with client_of(app_of(tmp_path)) as client:
        answer = await client.post("/traverse", json={"latents": LATENTS[:1], "axes": [axis()]})
    assert answer.status_code == 409
    assert "[[factors]]" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("name", "body", "field"),
    [
        ("traverse", {"latents": [[3e38] * 4], "axes": [axis()]}, "latents"),
        ("traverse", {"latents": LATENTS[:1], "axes": [axis(first=1e38, last=1e39)]}, "axes.0"),
        ("sample", {"count": 1, "factors": {"color": [[3e38]]}}, "factors"),
    ],
)
async def test_results_that_are_not_finite_are_refused(
    client: httpx.AsyncClient, name: str, body: dict[str, Any], field: str
) -> None:
    """What overflows in the flow's dtype is never sent."""
    answer = await client.post(f"/{name}", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)


@pytest.mark.parametrize("prefix", ["", "/models/tiny", "/models/tiny/versions/1"])
async def test_below_every_prefix(client: httpx.AsyncClient, prefix: str) -> None:
    """Both answer below every prefix, with the model and the version."""
    for name, body in (("sample", {"count": 1}), ("traverse", {"latents": LATENTS[:1], "axes": [axis()]})):
        answer = (await client.post(f"{prefix}/{name}", json=body)).json()
        assert (answer["model"], answer["version"]) == ("tiny", "1")
