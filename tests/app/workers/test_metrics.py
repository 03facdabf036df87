"""Metrics of several processes."""

import os
import re
import signal
from pathlib import Path

import httpx

from tests.app.metrics.test_metrics import ENCODE, Samples, samples, value
from tests.app.servers import SECONDS
from tests.app.workers.test_supervisor import ends, get, is_ready, serving_by_workers, wait_until, worker_of
from tests.app.worlds import LATENTS

READY = {"model": "tiny", "version": "1", "state": "READY"}


def scraped(client: httpx.Client) -> Samples:
    """What one of the workers shows."""
    return samples(get(client, "/metrics").content)


def requests(found: Samples) -> float | None:
    """How many requests to encode there were."""
    return value(found, "gyoza_requests_total", method="POST", **ENCODE, status="200")


def test_counts_are_those_of_all_workers(folder: Path) -> None:
    """Whichever worker is asked: requests to all of them count, those to a killed one still, and its gauges are gone."""
    with serving_by_workers(folder) as (server, client, workers, _):
        for number in range(10):
            with httpx.Client(base_url=client.base_url, timeout=SECONDS) as other:
                assert other.post("/encode", json={"latents": LATENTS}).status_code == 200, number
        for _ in range(4):
            wait_until(lambda: requests(scraped(client)) == 10)
            wait_until(lambda: value(scraped(client), "gyoza_model_state", **READY) == 2)
        os.kill(workers[0], signal.SIGKILL)
        wait_until(lambda: value(scraped(client), "gyoza_model_state", **READY) in {1, None})
        workers.append(worker_of(server))
        wait_until(lambda: is_ready(client))
        wait_until(lambda: value(scraped(client), "gyoza_model_state", **READY) == 2)
        for _ in range(4):
            found = scraped(client)
            assert requests(found) == 10
            starts = {value(found, "gyoza_worker_starts_total", worker=worker) for worker in "12"}
            assert starts == {1, 2}
            shown = {dict(labels)["worker"] for name, labels in found if re.search("resident_memory", name)}
            assert shown == {"1", "2"}
        assert get(client, "/encode").status_code == 405
        server.terminate()
        assert ends(server, workers) == 0
