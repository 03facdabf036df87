"""The numbers of probes and stopping fit together, as what the service does with them needs it."""

import pytest

from app import server
from app.main import GRACE_S
from app.workers import processes
from tests.deploy.kubernetes.kustomize import Object, build
from tests.deploy.kubernetes.manifests import FOLDER, servers, settings_in

SERVERS = servers()
EACH = pytest.mark.parametrize(("pod", "container"), SERVERS.values(), ids=SERVERS)
SPARE_S = 5
"""So much longer than it should need a process has, on a node that is full."""


def longest_of(probe: Object) -> int:
    """The seconds after which something is done at the latest, where a probe fails."""
    seconds: int = probe["periodSeconds"] * probe["failureThreshold"]
    return seconds


def patience_of(probe: Object) -> int:
    """The seconds for which a probe may fail at the least before anything is done: the first failure may come at once."""
    seconds: int = probe["periodSeconds"] * (probe["failureThreshold"] - 1)
    return seconds


@EACH
def test_the_grace_period_is_long_enough(pod: Object, container: Object) -> None:
    """No pod is killed before the service would have ended by itself; its hooks, of which there are none, take no time."""
    settings = settings_in(container)
    needed = settings.pre_stop_delay_s + settings.drain_timeout_s + max(server.END_S, processes.END_S)
    assert pod["terminationGracePeriodSeconds"] >= needed + SPARE_S
    assert "lifecycle" not in container


@EACH
def test_requests_have_all_of_their_time(pod: Object, container: Object) -> None:
    """A request that comes as the port closes may take as long as any."""
    settings = settings_in(container)
    assert settings.drain_timeout_s >= settings.request_timeout_s + GRACE_S


@EACH
def test_who_goes_by_readiness_sees_it_in_time(pod: Object, container: Object) -> None:
    """The pod is known not to be ready before its port closes."""
    probe = container["readinessProbe"]
    assert 0 < longest_of(probe) + probe["timeoutSeconds"] < settings_in(container).pre_stop_delay_s


@EACH
def test_a_pod_that_drains_is_not_killed(pod: Object, container: Object) -> None:
    """The liveness probe bears silence for longer than the drain takes, and asks nothing that changes while it does."""
    probe = container["livenessProbe"]
    assert patience_of(probe) > settings_in(container).drain_timeout_s
    assert probe["httpGet"]["path"] in {"/livez", "/v2/health/live"}


@EACH
def test_a_large_model_has_time_to_load(pod: Object, container: Object) -> None:
    """For ten minutes nothing but readiness is asked, by the probe that keeps the others from asking."""
    probe = container["startupProbe"]
    assert longest_of(probe) >= 600
    assert probe["httpGet"] == container["readinessProbe"]["httpGet"]
    assert probe["httpGet"]["path"] in {"/readyz", "/v2/health/ready"}


@pytest.mark.parametrize("folder", ["base", "production"])
def test_a_rollout_takes_no_pod_away_first(folder: str) -> None:
    """A new pod is ready, and has been so for a moment, before an old one is asked to end; the rollout waits for its start."""
    (deployment,) = (found["spec"] for found in build(FOLDER / folder) if found["kind"] == "Deployment")
    assert deployment["strategy"]["type"] == "RollingUpdate"
    assert deployment["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    assert deployment["minReadySeconds"] > 0
    # The autoscaler's alone.
    assert "replicas" not in deployment
    starting = longest_of(SERVERS[folder][1]["startupProbe"])
    assert deployment["progressDeadlineSeconds"] > starting + deployment["minReadySeconds"]
