"""Editing factors, driven from outside and compared with what NumPy makes of codes."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from app.api.edits import Place, Step, apply
from app.errors import DeadlineExceeded
from app.schemas.edits import KINDS
from app.tensors import Factor
from tests.app.api.test_flows import array_of, base64_of
from tests.app.metrics.test_metrics import samples, value
from tests.app.worlds import FACTORS, LATENTS, affine, app_of, client_of, coupled, decoder, put, put_halves, rows

FLOW = coupled()
N = 5
OWN, DONORS, OTHERS = rows(N, 1), rows(N, 2), rows(N, 3)
RESIDUAL, DIGIT, COLOR = slice(0, 2), slice(2, 3), slice(3, 4)
VALUES = rows(N, 4)[:, :2]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a flow in float64 with a coupling, whose codes hold two numbers of residual, a digit and a color."""
    put_halves(put(tmp_path, text="coupled"), dtype="float64")
    async with client_of(app_of(tmp_path)) as client:
        yield client


def codes_of(latents: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The codes, of which the caller may write over all."""
    return FLOW.encode(latents)[0].copy()


def a_set(codes: Any) -> None:
    """Two numbers for each row."""
    codes[:, RESIDUAL] = VALUES


def a_set_of_one(codes: Any) -> None:
    """The same for all rows."""
    codes[:, COLOR] = 1.5


def a_shift(codes: Any) -> None:
    """Two numbers for each row."""
    codes[:, RESIDUAL] += VALUES


def a_shift_by_one(codes: Any) -> None:
    """The same for all rows."""
    codes[:, RESIDUAL] += [0.5, -1]


def a_scale(codes: Any) -> None:
    """About 0."""
    codes[:, RESIDUAL] *= -0.5


def a_swap(codes: Any) -> None:
    """From the donors' codes."""
    codes[:, DIGIT] = codes_of(DONORS)[:, DIGIT]


def a_blend(codes: Any) -> None:
    """A quarter of the donors' codes."""
    codes[:, RESIDUAL] = 0.75 * codes[:, RESIDUAL] + 0.25 * codes_of(OTHERS)[:, RESIDUAL]


def a_draw(codes: Any) -> None:
    """The first numbers of the stream."""
    codes[:, RESIDUAL] = np.random.RandomState(7).standard_normal(2 * N).reshape(N, 2)


EDITS: list[tuple[dict[str, Any], Callable[[Any], None]]] = [
    ({"factor": "residual", "set": VALUES.tolist()}, a_set),
    ({"factor": "color", "set": [[1.5]]}, a_set_of_one),
    ({"factor": "residual", "shift": VALUES.tolist()}, a_shift),
    ({"factor": "residual", "shift": [[0.5, -1]]}, a_shift_by_one),
    ({"factor": "residual", "scale": -0.5}, a_scale),
    ({"factor": "digit", "swap": DONORS.tolist()}, a_swap),
    ({"factor": "residual", "blend": {"latents": OTHERS.tolist(), "weight": 0.25}}, a_blend),
    ({"factor": "residual", "sample": {"seed": 7}}, a_draw),
]


async def assert_edited(client: httpx.AsyncClient, edits: list[dict[str, Any]], codes: Any) -> dict[str, Any]:
    """The answer to edits of ``OWN`` is what it must be where ``codes`` are the edited codes."""
    answer = await client.post("/edit", json={"latents": OWN.tolist(), "edits": edits})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    latents = FLOW.invert(codes)
    again, logdet = FLOW.encode(latents)
    own, own_logdet = FLOW.encode(OWN)
    for found, expected in (
        (body["codes"], codes),
        (body["latents"], latents),
        (body["log_likelihood"]["before"], likelihood(own, own_logdet)),
        (body["log_likelihood"]["after"], likelihood(again, logdet)),
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
    assert np.shape(body["round_trip_error"]) == (N,)
    assert max(body["round_trip_error"]) < 1e-12
    return body


def likelihood(codes: Any, logdet: Any) -> Any:
    """Log N(code; 0, I) + logdet."""
    return -0.5 * (np.square(codes).sum(axis=1) + 4 * np.log(2 * np.pi)) + logdet


@pytest.mark.parametrize(("edit", "change"), EDITS, ids=[change.__name__ for _, change in EDITS])
async def test_an_edit_is_what_it_says(
    world: httpx.AsyncClient, edit: dict[str, Any], change: Callable[[Any], None]
) -> None:
    """Each kind of edit changes its factor as NumPy does on the codes, and nothing else of them."""
    codes = codes_of(OWN)
    change(codes)
    body = await assert_edited(world, [edit], codes)
    assert list(body) == ["model", "version", "latents", "codes", "log_likelihood", "round_trip_error"]
    untouched = [
        column for name, column in zip(FACTORS, (RESIDUAL, DIGIT, COLOR), strict=True) if name != edit["factor"]
    ]
    for columns in untouched:
        np.testing.assert_array_equal(np.array(body["codes"])[:, columns], codes_of(OWN)[:, columns])


def test_every_kind_is_tried() -> None:
    """No kind of edit is without a comparison here."""
    assert {kind for edit, _ in EDITS for kind in KINDS if kind in edit} == set(KINDS)


@pytest.mark.parametrize("order", [EDITS, EDITS[::-1]])
async def test_edits_apply_in_order(world: httpx.AsyncClient, order: list[Any]) -> None:
    """Each edit finds what those before it made; donors keep their own codes, whatever was edited before."""
    codes = codes_of(OWN)
    for _, change in order:
        change(codes)
    await assert_edited(world, [edit for edit, _ in order], codes)


async def test_no_edit_changes_nothing(world: httpx.AsyncClient) -> None:
    """Without any edit the latents come back."""
    body = await assert_edited(world, [], codes_of(OWN))
    np.testing.assert_allclose(body["latents"], OWN, rtol=1e-12)


async def test_donors_share_the_pass(world: httpx.AsyncClient) -> None:
    """Latents and all donors are encoded together, and once more when they are edited: by two requests to the queue."""
    edits = [{"factor": name, "swap": DONORS.tolist()} for name in ("digit", "color")]
    await world.post("/edit", json={"latents": OWN.tolist(), "edits": edits})
    found = samples((await world.get("/metrics")).content)
    lane = {"model": "tiny", "version": "1", "primitive": "encode"}
    assert value(found, "gyoza_batch_rows_sum", **lane) == 3 * N + N


async def test_a_seed_that_is_not_given_is_drawn_and_told(world: httpx.AsyncClient) -> None:
    """The answer tells the drawn seeds by the index of their edits, and with them the same edit gives the same codes."""
    edits: list[dict[str, Any]] = [
        {"factor": "digit", "sample": {}},
        {"factor": "color", "scale": 2},
        {"factor": "color", "sample": {"seed": 3}},
        {"factor": "residual", "sample": {}},
    ]
    first = (await world.post("/edit", json={"latents": OWN.tolist(), "edits": edits})).json()
    assert list(first["seeds"]) == ["0", "3"]
    assert all(0 <= seed < 2**32 for seed in first["seeds"].values())
    for index, seed in first["seeds"].items():
        edits[int(index)]["sample"] = {"seed": seed}
    again = (await world.post("/edit", json={"latents": OWN.tolist(), "edits": edits})).json()
    assert "seeds" not in again
    assert again["codes"] == first["codes"]
    other = (
        await world.post("/edit", json={"latents": OWN.tolist(), "edits": [{"factor": "digit", "sample": {}}]})
    ).json()
    assert other["seeds"]["0"] != first["seeds"]["0"]


async def test_edits_take_and_give_base64(world: httpx.AsyncClient) -> None:
    """Tensors answer in the form of the latents; per-row numbers stay lists."""
    edits = [{"factor": "residual", "set": base64_of(VALUES)}, {"factor": "digit", "swap": base64_of(DONORS)}]
    answer = await world.post("/edit?decode=true", json={"latents": base64_of(OWN), "edits": edits})
    body = answer.json()
    codes = codes_of(OWN)
    a_set(codes)
    a_swap(codes)
    np.testing.assert_array_equal(array_of(body["codes"]), codes)
    np.testing.assert_allclose(array_of(body["latents"]), FLOW.invert(codes), rtol=1e-12)
    np.testing.assert_allclose(array_of(body["outputs"]), decoder(dtype="float64")(FLOW.invert(codes)), rtol=1e-12)
    assert isinstance(body["log_likelihood"]["after"], list)


T = rows(2, 5).tolist()
ONE = {"factor": "digit", "scale": 1}
BAD = [
    ([ONE, {"factor": "hue", "scale": 1}], "edits.1.factor", "Factors that exist: residual, digit, color"),
    ([{"factor": "digit"}], "edits.0", "exactly one of set, shift, scale, swap, blend, sample. Received: none"),
    ([{"factor": "digit", "scale": 1, "set": [[1]]}], "edits.0", "Received: set, scale"),
    ([ONE, ONE, {"factor": "residual", "set": [[1, "x"]]}], "edits.2.set[0][1]", "must be a number. Received: 'x'"),
    ([{"factor": "residual", "set": [[1]]}], "edits.0.set", "must have the shape [n, 2]. Received: [1, 1]"),
    ([{"factor": "residual", "set": [[1, 2]] * 3}], "edits.0.set", "must have the shape [2, 2]. Received: [3, 2]"),
    ([{"factor": "digit", "shift": [[1, 2]]}], "edits.0.shift", "must have the shape [n, 1]"),
    ([{"factor": "digit", "shift": [1]}], "edits.0.shift", "must have the shape [n, 1]"),
    ([{"factor": "digit", "shift": None}], "edits.0", "shift must not be null"),
    ([{"factor": "digit", "scale": "2"}], "edits.0.scale", "must be a valid number. Received: '2'"),
    ([{"factor": "digit", "scale": True}], "edits.0.scale", "must be a valid number. Received: true"),
    ([{"factor": "digit", "swap": T[:1]}], "edits.0.swap", "must have the shape [2, 4]. Received: [1, 4]"),
    ([{"factor": "digit", "swap": [[1]] * 2}], "edits.0.swap", "must have the shape [2, 4]"),
    ([{"factor": "digit", "blend": {"latents": T}}], "edits.0.blend.weight", "missing"),
    ([{"factor": "digit", "blend": {"latents": T, "weight": 1, "w": 2}}], "edits.0.blend.w", "exist: latents, weight"),
    ([{"factor": "digit", "blend": {"latents": T[:1], "weight": 1}}], "edits.0.blend.latents", "[2, 4]"),
    ([{"factor": "digit", "sample": {"seed": -1}}], "edits.0.sample.seed", "must be greater than or equal to 0"),
    (
        [{"factor": "digit", "sample": {"seed": 2**32}}],
        "edits.0.sample.seed",
        "must be less than or equal to 4294967295",
    ),
    ([{"factor": "digit", "sample": {"seed": 1.5}}], "edits.0.sample.seed", "must be a valid integer. Received: 1.5"),
    ([{"factor": "digit", "sample": {"seed": None}}], "edits.0.sample", "seed must not be null"),
    ([{"factor": "digit", "sample": 7}], "edits.0.sample", "must be an object. Received: 7"),
    ([{"factor": "digit", "double": 2}], "edits.0.double", "exist: factor, set, shift, scale, swap, blend, sample"),
    (["digit"], "edits.0", "must be an object. Received: 'digit'"),
    ([{"scale": 2}], "edits.0.factor", "missing"),
    ({}, "edits", "must be a valid list. Received: an object"),
    ([ONE] * 65, "edits", "at most 64 items"),
]


@pytest.mark.parametrize(("edits", "field", "message"), BAD)
async def test_edits_that_do_not_fit_are_refused(
    world: httpx.AsyncClient, edits: object, field: str, message: str
) -> None:
    """What is wrong with an edit is told with its index, what must hold and what came."""
    answer = await world.post("/edit", json={"latents": T, "edits": edits})
    assert answer.status_code == 422, answer.text
    (error,) = answer.json()["errors"]
    assert error["field"] == field
    assert message in error["message"]


@pytest.mark.parametrize(
    ("number", "dtype", "field"),
    [("NaN", "coupled", "edits.0.scale"), ("1e400", "coupled", "edits.0.scale"), ("1e39", "affine", "edits.0.scale")],
)
async def test_numbers_that_are_not_finite_are_refused(tmp_path: Path, number: str, dtype: str, field: str) -> None:
    """A scale must be finite in the flow's dtype."""
    put(tmp_path, text=dtype)
    body = f'{{"latents": {LATENTS}, "edits": [{{"factor": "digit", "scale": {number}}}]}}'
    async with client_of(app_of(tmp_path)) as client:
        answer = await client.post("/edit", content=body)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)
    assert "finite" in answer.json()["errors"][0]["message"]


async def test_results_that_are_not_finite_are_refused(client: httpx.AsyncClient) -> None:
    """An edit that overflows is named with the rows; so is what overflows on the way back."""
    edits = [ONE, {"factor": "color", "scale": 3e38}]
    answer = await client.post("/edit", json={"latents": LATENTS, "edits": edits})
    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {
            "field": "edits.1.scale",
            "message": "the results must be finite in float32, but these rows overflow: 1; scale them down",
        }
    ]
    donors = [[3e38] * 4] * 2
    answer = await client.post("/edit", json={"latents": LATENTS, "edits": [{"factor": "color", "swap": donors}]})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "edits.0.swap")


async def test_donors_count_as_rows(tmp_path: Path) -> None:
    """Latents and donors together may be no more than a request's rows."""
    put(tmp_path)
    body: dict[str, Any] = {"latents": LATENTS, "edits": [{"factor": "digit", "swap": LATENTS}]}
    async with client_of(app_of(tmp_path, max_rows=5)) as client:
        assert (await client.post("/edit", json=body)).status_code == 200
        body["edits"] *= 2
        answer = await client.post("/edit", json=body)
    assert answer.status_code == 413
    assert "at most 5 rows. Received: 6" in answer.json()["detail"]


async def test_edits_need_a_factor_layout(tmp_path: Path) -> None:
    """Without factors there is nothing to edit, and the answer says how to have some."""
    put(tmp_path, text="plain")
    async with client_of(app_of(tmp_path)) as client:
        answer = await client.post("/edit", json={"latents": LATENTS, "edits": [ONE]})
    assert answer.status_code == 409
    assert "[[factors]]" in answer.json()["detail"]


async def test_edits_are_json(client: httpx.AsyncClient) -> None:
    """Another content type is refused, and the answer is JSON whatever is liked."""
    kind = "application/vnd.safetensors"
    answer = await client.post("/edit", content=b"", headers={"Content-Type": kind})
    assert answer.status_code == 415
    assert "must be one of: application/json." in answer.json()["detail"]
    answer = await client.post("/edit", json={"latents": LATENTS, "edits": [ONE]}, headers={"Accept": kind})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")


async def test_edits_are_timed_and_counted(client: httpx.AsyncClient) -> None:
    """The answer tells its times as those of the other endpoints do, and the metrics know the route."""
    answer = await client.post("/models/tiny/edit", json={"latents": LATENTS, "edits": [ONE]})
    assert {"decode", "queue", "compute", "encode"} == {
        part.split(";")[0].strip() for part in answer.headers["server-timing"].split(",")
    }
    found = samples((await client.get("/metrics")).content)
    route = {"method": "POST", "route": "/edit", "model": "tiny", "version": "1", "status": "200"}
    assert value(found, "gyoza_requests_total", **route) == 1


def test_edits_end_at_the_deadline() -> None:
    """Of many edits, those are not applied for which nobody waits any more."""
    codes = np.zeros((1, 4))
    with pytest.raises(DeadlineExceeded):
        apply([Step(Place(affine(), Factor("a", 0, 4), 1, "edits.0.set"), lambda own, _: own + 1)], codes, [None], 0.0)
    assert not codes.any()
