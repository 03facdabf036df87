"""Models that are loaded, loaded anew and unloaded under load, driven as users drive them."""

import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from gyoza.inference import CompiledFlow, Plan
from gyoza.inference.plan import Affine
from tests.app.keyrings import controlling
from tests.app.servers import SECONDS, serving
from tests.app.worlds import LATENTS, SIZE, put

CLIENTS = 4
RELOADS = 24


def put_plan(folder: Path, name: str, version: str, factor: float) -> None:
    """Put a version into its place at once, whose codes are the latents times a factor."""
    staged = folder / ".staged" / "plan.safetensors"
    staged.parent.mkdir(exist_ok=True)
    steps = (Affine(np.full(SIZE, float(factor)), np.zeros(SIZE)),)
    CompiledFlow(Plan(steps, (SIZE,), (SIZE,), np.dtype("float32"))).save(staged)
    place = folder / name / version
    if place.is_dir():
        staged.replace(place / staged.name)
    else:
        place.parent.mkdir(exist_ok=True)
        staged.parent.rename(place)


class Admin:
    """Loads and unloads."""

    def __init__(self, address: str, headers: dict[str, str]) -> None:
        """Begin."""
        self._address, self._headers = address, headers

    def __call__(self, model: str, verb: str = "load") -> httpx.Response:
        """Load or unload a model."""
        return httpx.post(f"{self._address}/models/{model}/{verb}", headers=self._headers, timeout=SECONDS)


@contextmanager
def controlled(folder: Path, *arguments: str, workers: str = "1") -> Iterator[tuple[Any, str, Admin]]:
    """A server that an admin controls: its process, its address, and the admin."""
    settings, headers = controlling(folder)
    control = ("--repository-control", "--admin-keys-file", str(settings["admin_keys_file"]))
    quiet = ("--log-level", "warning", "--workers", workers)
    with serving(folder, *control, *quiet, *arguments) as (server, address, _):
        yield server, address, Admin(address, headers)


@contextmanager
def under_load(address: str, ask: Callable[[httpx.Client], None]) -> Iterator[list[Future[int]]]:
    """Clients that ask again and again, each on a connection of its own; at the end, how often each did."""
    done = threading.Event()

    def keep_asking() -> int:
        times = 0
        with httpx.Client(base_url=address, timeout=SECONDS) as client:
            while not done.is_set():
                ask(client)
                times += 1
        return times

    with ThreadPoolExecutor(CLIENTS) as threads:
        asking = [threads.submit(keep_asking) for _ in range(CLIENTS)]
        try:
            yield asking
        finally:
            done.set()


def check(answer: httpx.Response, factors: set[float]) -> dict[str, Any]:
    """Make sure that an answer is of one flow alone, and return it."""
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    found = np.asarray(body["codes"]) / np.asarray(LATENTS)
    assert float(found[0, 0]) in factors
    assert np.ptp(found) == 0
    return body


@pytest.mark.parametrize("workers", ["1", "2"])
def test_every_answer_is_of_one_version(tmp_path: Path, workers: str) -> None:
    """While versions come and go and files change, no answer is lost, and each is of the version that it names."""
    put_plan(tmp_path, "moving", "1", 1)
    put_plan(tmp_path, "changing", "1", 2)

    def ask(client: httpx.Client) -> None:
        moving = check(client.post("/models/moving/encode", json={"latents": LATENTS}), {*range(RELOADS + 2)})
        assert np.all(np.asarray(moving["codes"]) == int(moving["version"]) * np.asarray(LATENTS))
        check(client.post("/models/changing/encode", json={"latents": LATENTS}), {2, 4})
        back = client.post("/models/changing/invert?check=true", json={"codes": LATENTS}).json()
        assert back["round_trip_error"] == [0, 0]

    with (
        controlled(tmp_path, workers=workers) as (_, address, admin),
        under_load(address, ask) as asking,
        httpx.Client(base_url=address, timeout=SECONDS) as client,
    ):
        for number in range(2, RELOADS // 2 + 2):
            put_plan(tmp_path, "moving", str(number), number)
            shutil.rmtree(tmp_path / "moving" / str(number - 1))
            versions = admin("moving").json()["versions"]
            assert [(item["version"], item["state"]) for item in versions] == [(str(number), "READY")]
            now = check(client.post("/models/moving/encode", json={"latents": LATENTS}), {number})
            assert now["version"] == str(number)
            factor = 2 + 2 * (number % 2)
            put_plan(tmp_path, "changing", "1", factor)
            assert admin("changing").status_code == 200
            check(client.post("/models/changing/encode", json={"latents": LATENTS}), {factor})
            assert not any(each.done() for each in asking)
    assert all(each.result() > 1 for each in asking)


def test_a_load_that_fails_under_load(tmp_path: Path) -> None:
    """While random bytes lie in the place of a model's file, the former one answers every request, and is READY with a reason."""
    put_plan(tmp_path, "tiny", "1", 2)

    def ask(client: httpx.Client) -> None:
        check(client.post("/encode", json={"latents": LATENTS}), {2})

    with controlled(tmp_path) as (_, address, admin), under_load(address, ask) as asking:
        draw = np.random.default_rng(0)
        for _ in range(5):
            (tmp_path / "tiny/1/new").write_bytes(draw.bytes(1000))
            (tmp_path / "tiny/1/new").replace(tmp_path / "tiny/1/plan.safetensors")
            failed = admin("tiny")
            assert (failed.status_code, failed.json()["type"]) == (409, "urn:gyoza:conflict")
            (version,) = httpx.get(f"{address}/models/tiny").json()["versions"]
            assert version["state"] == "READY"
            assert version["reason"].startswith("serves the files of its former load, since the last one failed: plan")
            assert httpx.get(f"{address}/readyz").status_code == 200
        assert not any(each.done() for each in asking)
    assert all(each.result() > 1 for each in asking)


def test_unloading_while_requests_wait(tmp_path: Path) -> None:
    """Requests that wait when their model is unloaded are answered, later ones are not ready, and the unload waits for them."""
    gate = put(tmp_path, text="gated") / "gate"

    def ask() -> httpx.Response:
        return httpx.post(f"{address}/models/tiny/encode", json={"latents": LATENTS}, timeout=SECONDS)

    with controlled(tmp_path) as (server, address, admin), ThreadPoolExecutor(CLIENTS + 1) as threads:
        waiting = [threads.submit(ask)]
        assert "pass begins\n" in iter(server.stdout.readline, "")
        waiting += [threads.submit(ask) for _ in range(CLIENTS - 1)]
        while 'gyoza_queue_rows{model="tiny",primitive="encode",version="1"} 6.0' not in shown(address):
            assert not any(each.done() for each in waiting)
        unloading = threads.submit(admin, "tiny", "unload")
        while (refused := ask_once(address)) is None or refused.status_code != 503:
            assert not unloading.done()
        assert "UNAVAILABLE: unloaded" in refused.json()["detail"]
        gate.touch()
        assert [each.result().status_code for each in waiting] == [200] * CLIENTS
        assert unloading.result().json()["reason"] == "unloaded"
        assert admin("tiny").json()["state"] == "READY"
        assert ask().status_code == 200


def shown(address: str) -> str:
    """What is measured."""
    return httpx.get(f"{address}/metrics", timeout=SECONDS).text


def ask_once(address: str) -> httpx.Response | None:
    """Ask for rows that a gated flow encodes at once; None where it does not answer at once all the same."""
    try:
        return httpx.post(f"{address}/models/tiny/encode", json={"latents": [[0.0] * SIZE]}, timeout=0.2)
    except httpx.TimeoutException:
        return None
