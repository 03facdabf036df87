"""Every object is one that Kubernetes takes, and what it names is there."""

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest

from tests.app.worlds import app_of, client_of, put
from tests.deploy.kubernetes.kustomize import Object, build
from tests.deploy.kubernetes.manifests import APPLIED, FOLDER, labels_of, pod_of

CUSTOM = {"ServiceMonitor": "monitoring.coreos.com/v1", "InferenceService": "serving.kserve.io/v1beta1"}
"""Kinds that clusters learn from others, of which no schema is here."""
PREDICTOR = {"minReplicas", "maxReplicas", "scaleMetric", "scaleTarget", "deploymentStrategy"}
"""What KServe adds to the fields of a pod; ``tests/clients`` asks KServe's own package whether it does."""
VERSIONS = ("1.27", kubernetes_validate.latest_version())
OBJECTS = [(folder.name, found) for folder in APPLIED for found in build(folder)]
EACH = pytest.mark.parametrize(
    "found", [found for _, found in OBJECTS], ids=[f"{name}-{found['kind']}" for name, found in OBJECTS]
)


@pytest.mark.parametrize("version", VERSIONS)
@EACH
def test_kubernetes_takes_it(found: Object, version: str) -> None:
    """An object of Kubernetes' own kinds meets the schema of the version, strictly: no field is unknown."""
    if found["kind"] in CUSTOM:
        assert found["apiVersion"] == CUSTOM[found["kind"]]
    else:
        kubernetes_validate.validate(found, version, strict=True)


@pytest.mark.parametrize("version", VERSIONS)
def test_kserve_makes_a_deployment_of_it(version: str) -> None:
    """What an InferenceService says of its pods is what a Deployment may say of them, but for what KServe adds to it."""
    (service,) = build(FOLDER / "kserve")
    assert set(service["spec"]) == {"predictor"}
    told = service["spec"]["predictor"]
    labels = {"app": "it"}
    spec = {name: value for name, value in told.items() if name not in PREDICTOR}
    deployment = {
        "strategy": told["deploymentStrategy"],
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": spec},
    }
    whole = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "it"}, "spec": deployment}
    kubernetes_validate.validate(whole, version, strict=True)


@pytest.mark.parametrize("folder", [FOLDER / "base", FOLDER / "production"], ids=lambda folder: folder.name)
def test_selectors_select(folder: Path) -> None:
    """Whatever selects pods selects those of the Deployment, and what selects Services the Service."""
    objects = {found["kind"]: found for found in build(folder)}
    pod_labels = labels_of(objects["Deployment"])
    spec = {kind: found["spec"] for kind, found in objects.items()}
    selected = [
        spec["Deployment"]["selector"]["matchLabels"],
        spec["Service"]["selector"],
        spec["PodDisruptionBudget"]["selector"]["matchLabels"],
        *(
            rule["labelSelector"]["matchLabels"]
            for rule in spec["Deployment"]["template"]["spec"]["topologySpreadConstraints"]
        ),
        *(spec[kind]["podSelector"]["matchLabels"] for kind in spec if kind == "NetworkPolicy"),
    ]
    assert all(selector and selector.items() <= pod_labels.items() for selector in selected)
    target = spec["HorizontalPodAutoscaler"]["scaleTargetRef"]
    assert (target["apiVersion"], target["kind"]) == (objects["Deployment"]["apiVersion"], "Deployment")
    assert target["name"] == objects["Deployment"]["metadata"]["name"]
    if monitor := spec.get("ServiceMonitor"):
        assert monitor["selector"]["matchLabels"].items() <= objects["Service"]["metadata"]["labels"].items()


def test_a_service_selects_no_other_pod() -> None:
    """The pod that writes models gets no request."""
    (service,) = (found for found in build(FOLDER / "base") if found["kind"] == "Service")
    others = [labels_of(found) for found in build(FOLDER / "models") if found["kind"] == "Pod"]
    assert others
    assert not any(service["spec"]["selector"].items() <= labels.items() for labels in others)


@pytest.mark.parametrize("folder", APPLIED, ids=lambda folder: folder.name)
def test_ports_have_the_names_that_are_used(folder: Path) -> None:
    """Probes, Services, policies and monitors name ports that there are, each a port of what it is about."""
    objects = build(folder)
    containers = [container for found in objects if (pod := pod_of(found)) for container in pod["containers"]]
    ports = {
        port[key]
        for container in containers
        for port in container.get("ports", [])
        for key in ("name", "containerPort")
    }
    services = {port["name"] for found in objects if found["kind"] == "Service" for port in found["spec"]["ports"]}
    named = [each["port"] for each in everything(containers, "httpGet")]
    named += [port["targetPort"] for found in objects if found["kind"] == "Service" for port in found["spec"]["ports"]]
    for rules in everything([found for found in objects if found["kind"] == "NetworkPolicy"], "ingress"):
        named += [port["port"] for rule in rules for port in rule["ports"]]
    monitored = [each["port"] for points in everything(objects, "endpoints") for each in points]
    assert set(named) <= ports
    assert set(monitored) <= services


@pytest.mark.parametrize("folder", APPLIED, ids=lambda folder: folder.name)
async def test_paths_are_answered(folder: Path, tmp_path: Path) -> None:
    """Each path that is asked by a probe or a monitor is one that the service answers with 200, once it is ready."""
    put(tmp_path)
    objects = build(folder)
    paths = {each["path"] for each in everything(objects, "httpGet")}
    paths |= {each["path"] for points in everything(objects, "endpoints") for each in points}
    async with client_of(app_of(tmp_path)) as client:
        assert {path: (await client.get(path)).status_code for path in paths} == dict.fromkeys(paths, 200)


def everything(found: Any, field: str) -> list[Any]:
    """The values of all fields of a name, wherever they are."""
    if isinstance(found, list):
        return [value for item in found for value in everything(item, field)]
    if not isinstance(found, dict):
        return []
    return [*([found[field]] if field in found else []), *everything(list(found.values()), field)]
