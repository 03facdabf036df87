"""What a replica is told: its settings, and its cores."""

import sys
from pathlib import Path

import pytest

from app.threads import threads_for
from tests.app.worlds import put
from tests.ray.asking import asked, lists
from tests.ray.conftest import MARKS, Deploy
from tests.ray.worlds import noting_loader

pytestmark = MARKS
ROW = [[1.0, 2.0, 3.0, 4.0]]


@pytest.mark.parametrize("models_per_replica", [None, 1])
@pytest.mark.parametrize("cpus", [1, 2])
def test_a_replica_computes_in_as_many_threads_as_it_has_cores(
    deploy: Deploy, tmp_path: Path, models_per_replica: int | None, cpus: int
) -> None:
    """Of those that Ray gave it, as many as the machine has, with all models and with models on demand."""
    noted = put(tmp_path) / "threads"
    settings = {"models_dir": str(tmp_path), "default_model": "tiny"}
    address = deploy(settings, models_per_replica, noting_loader, ray_actor_options={"num_cpus": cpus})
    status, _, answer = asked(address, lists("/encode", latents=ROW))
    assert status == 200, answer
    assert noted.read_text() == str(threads_for(cpus))


def test_traces_without_their_extra_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the words of ``gyoza serve``, before anything is deployed."""
    from app.ray_serve import Arguments, application

    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    monkeypatch.delitem(sys.modules, "app.traces", raising=False)
    text = r"GYOZA_OTEL_ENDPOINT: needs OpenTelemetry.*Install the extra telemetry of gyoza-serve.*or leave it out\."
    with pytest.raises(ValueError, match=text):
        application(Arguments(settings={"otel_endpoint": "http://localhost:4318"}))
