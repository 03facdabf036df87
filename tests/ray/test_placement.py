"""More models than a replica may hold: each request gets its own, and memory stays where it may be."""

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from tests.ray.conftest import MARKS, Deploy, replicas
from tests.ray.worlds import MEGABYTES, heavy_loader, put_heavy

pytestmark = MARKS
ZEROS = {"latents": [[0.0] * 4]}


def number_of(address: str, path: str) -> float:
    """What the model of a path adds to zero."""
    answer = httpx.post(f"{address}{path}", json=ZEROS, timeout=60)
    assert answer.status_code == 200, answer.text
    found: float = answer.json()["codes"][0][0]
    return found


def megabytes(process: int) -> float:
    """The memory of a process that is resident."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text())
    assert found
    return int(found[1]) / 1024


def test_one_replica_serves_more_models_than_it_holds(deploy: Deploy, tmp_path: Path) -> None:
    """Every answer is the right model's, under load too, and what made way for others is out of memory."""
    names = put_heavy(tmp_path / "models", 5, tmp_path / "loads")
    settings = {"models_dir": str(tmp_path / "models"), "default_model": "m1"}
    address = deploy(settings, models_per_replica=2, loader=heavy_loader)
    (process,) = replicas()
    assert (number_of(address, "/models/m0/encode"), number_of(address, "/encode")) == (0.0, 1.0)
    with_two = megabytes(process)
    paths = [f"/models/{name}/encode" for name in names] * 8
    with ThreadPoolExecutor(8) as pool:
        found = [*pool.map(lambda path: number_of(address, path), paths)]
    assert found == [0.0, 1.0, 2.0, 3.0, 4.0] * 8
    assert len([*(tmp_path / "loads").iterdir()]) >= len(names)
    assert megabytes(process) < with_two + MEGABYTES / 2
    assert replicas() == [process]


def test_what_can_not_be_loaded_is_told_as_ever(deploy: Deploy, tmp_path: Path) -> None:
    """A model that is not there, one whose files are broken, and a protocol with names of its own."""
    put_heavy(tmp_path / "models", 2, tmp_path / "loads")
    (tmp_path / "models" / "broken.keras").write_text(f"none {tmp_path / 'loads'}")
    settings = {"models_dir": str(tmp_path / "models"), "default_model": "m1"}
    address = deploy(settings, models_per_replica=1, loader=heavy_loader)
    nobody = httpx.post(f"{address}/models/nobody/encode", json=ZEROS)
    assert (nobody.status_code, nobody.json()["type"]) == (404, "urn:gyoza:not-found")
    for _ in range(2):
        broken = httpx.post(f"{address}/models/broken/encode", json=ZEROS)
        assert (broken.status_code, broken.json()["type"]) == (503, "urn:gyoza:not-ready")
        assert (broken.headers["retry-after"], "ValueError" in broken.json()["detail"]) == ("60", True)
    tensor = {"name": "latents", "datatype": "FP32", "shape": [1, 4], "data": [0.0] * 4}
    answer = httpx.post(f"{address}/v2/models/m1.encode/infer", json={"inputs": [tensor]})
    assert answer.json()["outputs"][0]["data"] == [1.0] * 4


def test_requests_go_to_the_replica_that_holds_the_model(deploy: Deploy, tmp_path: Path) -> None:
    """Four models on two replicas of two each: after a while nothing is loaded any more."""
    names = put_heavy(tmp_path / "models", 4, tmp_path / "loads")
    settings = {"models_dir": str(tmp_path / "models"), "default_model": "m0"}
    address = deploy(settings, models_per_replica=2, loader=heavy_loader, num_replicas=2)
    loads = tmp_path / "loads"
    for _ in range(30):
        before = len([*loads.iterdir()])
        assert [number_of(address, f"/models/{name}/encode") for name in names * 5] == [0.0, 1.0, 2.0, 3.0] * 5
        if len([*loads.iterdir()]) == before:
            break
    else:
        raise AssertionError("models are loaded again and again")
    assert {path.name.partition("-")[0] for path in loads.iterdir()} == {str(process) for process in replicas()}
