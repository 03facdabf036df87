"""Replicas come and go, by load, by force and by faults, and nobody notices who may try again."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import httpx
import orjson
import pytest

from gyoza.client import Retries
from tests.app.worlds import LATENTS, put, tiny_loader
from tests.ray.conftest import MARKS, NAME, ROOT, Deploy, replicas
from tests.ray.load import Tally, by_client, by_hand, loaded

pytestmark = MARKS
MODELS = {"models_dir": str(ROOT / "models")}
SECONDS = 90
THREADS = 6
MOST_KILLS = 5


def until(holds: Callable[[], object]) -> None:
    """Wait for something, not for ever."""
    end = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.05)


def go_on(*tallies: Tally) -> None:
    """Wait until each has some more right answers."""
    before = [tally.right for tally in tallies]
    until(lambda: all(tally.right > right + 50 for tally, right in zip(tallies, before, strict=True)))


def kill_one_of_two() -> None:
    """Kill a replica, and wait until another one has its place."""
    victim = replicas()[0]
    os.kill(victim, signal.SIGKILL)
    until(lambda: len(replicas()) == 2 and victim not in replicas())


def test_a_killed_replica_loses_what_it_had_and_clients_lose_nothing(deploy: Deploy) -> None:
    """Whoever asks once is told to ask again, with the service's own words; the client does so by itself."""
    address = deploy(MODELS, num_replicas=2)
    with (
        by_client(address, Retries()) as patient,
        by_hand(address) as impatient,
        loaded(patient, THREADS) as retrying,
        loaded(impatient, THREADS) as once,
    ):
        kills = 0
        while not once.errors and kills < MOST_KILLS:  # The first may come while the victim has nothing in flight.
            go_on(retrying, once)
            kill_one_of_two()
            kills += 1
        go_on(retrying, once)
    assert retrying.errors == []
    assert 0 < len(once.errors) <= THREADS * kills
    for error in once.errors:
        assert isinstance(error, tuple), error
        assert (error[0], orjson.loads(error[1])["type"]) == (503, "urn:gyoza:not-ready")


def test_scaling_by_load_up_and_down_loses_nothing(deploy: Deploy) -> None:
    """From one replica to two and back, without a single try again."""
    autoscaling = {
        "min_replicas": 1,
        "max_replicas": 2,
        "target_ongoing_requests": 2,
        "upscale_delay_s": 0.5,
        "downscale_delay_s": 1.0,
        "metrics_interval_s": 0.2,
        "look_back_period_s": 0.5,
    }
    address = deploy(MODELS, autoscaling_config=autoscaling)
    with by_client(address, Retries(count=0)) as ask, loaded(ask, 1) as little:
        with loaded(ask, 12) as much:
            until(lambda: len(replicas()) == 2)
            before = much.right
            until(lambda: much.right > before + 200)
        until(lambda: len(replicas()) == 1)
    assert little.errors == much.errors == []


def test_other_settings_and_more_replicas_lose_nothing(deploy: Deploy) -> None:
    """What is deployed anew starts before what serves ends, also where that is a single replica."""
    address = deploy(MODELS)
    before = replicas()
    with by_client(address, Retries(count=0)) as ask, loaded(ask, THREADS) as tally:
        deploy({**MODELS, "max_rows": 4000}, num_replicas=2)
        until(lambda: len(replicas()) == 2 and not {*before} & {*replicas()})
        right = tally.right
        until(lambda: tally.right > right + 100)
    assert tally.errors == []


def test_a_replica_whose_pass_hangs_is_replaced(deploy: Deploy, tmp_path: Path) -> None:
    """Its health says so as long as it lasts, and Ray puts another one in its place."""
    put(tmp_path, text="gated")
    address = deploy(
        {"models_dir": str(tmp_path), "request_timeout_s": 0.5},
        loader=tiny_loader,
        health_check_period_s=0.5,
        graceful_shutdown_timeout_s=1,
    )
    victims = replicas()
    answer = httpx.post(f"{address}/encode", json={"latents": LATENTS}, timeout=60)
    assert (answer.status_code, answer.json()["type"]) == (504, "urn:gyoza:deadline-exceeded")
    until(lambda: len(replicas()) == 1 and replicas() != victims)
    (tmp_path / "tiny" / "1" / "gate").touch()
    until(lambda: httpx.post(f"{address}/encode", json={"latents": LATENTS}, timeout=60).status_code == 200)


def test_the_end_waits_for_what_was_begun(deploy: Deploy, tmp_path: Path) -> None:
    """A request that is under way when the deployment is taken down is answered."""
    from ray import serve

    put(tmp_path, text="gated")
    address = deploy({"models_dir": str(tmp_path)}, loader=tiny_loader)
    answers: list[httpx.Response] = []
    body = {"latents": LATENTS}
    asking = Thread(target=lambda: answers.append(httpx.post(f"{address}/encode", json=body, timeout=60)))
    asking.start()
    until((tmp_path / "tiny" / "1" / "begun").exists)
    ending = Thread(target=serve.delete, args=(NAME,))
    ending.start()
    time.sleep(2)
    assert len(replicas()) == 1
    assert not answers
    (tmp_path / "tiny" / "1" / "gate").touch()
    asking.join()
    ending.join()
    assert [answer.status_code for answer in answers] == [200]
    until(lambda: not replicas())


def test_more_than_may_wait_is_sent_away_with_a_time_to_come_back(deploy: Deploy, tmp_path: Path) -> None:
    """By the proxy, in the service's words; what was taken is answered."""
    put(tmp_path, text="gated")
    address = deploy({"models_dir": str(tmp_path)}, loader=tiny_loader, max_ongoing_requests=1, max_queued_requests=1)
    answers: list[httpx.Response] = []
    body = {"latents": LATENTS}
    asking = [
        Thread(target=lambda: answers.append(httpx.post(f"{address}/encode", json=body, timeout=60))) for _ in range(6)
    ]
    for thread in asking:
        thread.start()
    until(lambda: answers)
    (tmp_path / "tiny" / "1" / "gate").touch()
    for thread in asking:
        thread.join()
    away = [answer for answer in answers if answer.status_code != 200]
    assert 0 < len(away) < len(answers)
    for answer in away:
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
        assert answer.json()["type"] == "urn:gyoza:overloaded"


def test_a_replica_that_is_not_ready_never_serves(deploy: Deploy, tmp_path: Path) -> None:
    """The deployment fails, and says why in the words of /readyz."""
    put(tmp_path, text="nonsense")
    with pytest.raises(RuntimeError, match="failed") as caught:
        deploy({"models_dir": str(tmp_path)}, loader=tiny_loader, max_constructor_retry_count=1)
    assert "failed" in str(caught.value)
    assert "tiny version 1 is UNAVAILABLE" in status()


def status() -> str:
    """What Ray tells of the deployment."""
    from ray import serve

    return str(serve.status().applications[NAME].deployments[NAME].message)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_rows": 0}, "GYOZA_MAX_ROWS: Input should be greater than or equal to 1"),
        ({"workers": 2}, "GYOZA_WORKERS: must be 1, since Ray starts the processes"),
        ({"nonsense": 1}, "GYOZA_NONSENSE: Extra inputs are not permitted"),
    ],
)
def test_a_setting_that_can_not_be_is_told_before_anything_starts(
    cluster: str, settings: dict[str, object], message: str
) -> None:
    """By its name, with what may be."""
    from app.ray_serve import Arguments, build

    assert cluster
    with pytest.raises(ValueError, match=message):
        build(Arguments(settings=settings))
