"""What runs in the pods is the service and its image: settings, user, folders, and what a pod may do."""

from pathlib import PurePosixPath

import pytest

from app.settings import Settings
from tests.deploy.kubernetes.kustomize import Object, build
from tests.deploy.kubernetes.manifests import (
    FOLDER,
    ROOT,
    amount_of,
    environment_of,
    image_environment,
    instructions,
    pods,
    servers,
    settings_in,
)

PODS = list(pods())
EACH_POD = pytest.mark.parametrize("pod", [pod for _, pod in PODS], ids=[name for name, _ in PODS])
SERVERS = servers()
EACH_SERVER = pytest.mark.parametrize(("pod", "container"), SERVERS.values(), ids=SERVERS)
OF_KSERVE = {"PROTOCOL"}
"""Variables that KServe itself reads of a container, and the service does not."""
READ_ONLY = ("secret", "persistentVolumeClaim")


@EACH_SERVER
def test_settings_are_settings(pod: Object, container: Object) -> None:
    """Each variable is a setting of the service, each argument an option, and the service takes what they say.

    Nothing else in the environment may look like a setting: a Service called gyoza makes Kubernetes set GYOZA_PORT in
    every pod that wants to know of Services.
    """
    names = {item["name"] for item in container["env"]} - OF_KSERVE
    assert names <= {f"GYOZA_{name.upper()}" for name in Settings.model_fields}
    settings = settings_in(container)
    assert settings.host == "0.0.0.0"  # noqa: S104 - a pod's own.
    assert [port["containerPort"] for port in container["ports"]] == [settings.port]
    assert pod["enableServiceLinks"] is False


def test_the_image_is_as_it_is_read_here() -> None:
    """The Dockerfile names one user by numbers, as runAsNonRoot needs it, and exposes the port that it sets."""
    (user,) = set(instructions("USER"))
    assert all(part.isdigit() and part != "0" for part in user.split(":"))
    assert instructions("EXPOSE") == [image_environment()["GYOZA_PORT"]]


@EACH_POD
def test_a_pod_may_do_little(pod: Object) -> None:
    """It runs as the image's user, can't become another one, writes into no image, and has no token of the cluster."""
    (user,) = set(instructions("USER"))
    context = pod["securityContext"]
    assert f"{context['runAsUser']}:{context['runAsGroup']}" == user
    assert context["runAsNonRoot"] is True
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    for container in pod["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


@EACH_POD
def test_mounts_are_volumes(pod: Object) -> None:
    """Containers mount every volume, and no other, each at a place of its own."""
    mounts = [mount for container in pod["containers"] for mount in container["volumeMounts"]]
    assert {mount["name"] for mount in mounts} == {volume["name"] for volume in pod["volumes"]}
    assert len({mount["mountPath"] for mount in mounts}) == len(mounts)


@EACH_SERVER
def test_one_folder_can_be_written_to(pod: Object, container: Object) -> None:
    """It is the one where the image lets Keras write, and holds a bounded amount; all else is read."""
    volumes = {volume.pop("name"): volume for volume in (dict(each) for each in pod["volumes"])}
    writable = [mount for mount in container["volumeMounts"] if not mount.get("readOnly")]
    (place,) = (mount["mountPath"] for mount in writable)
    assert PurePosixPath(image_environment()["KERAS_HOME"]).is_relative_to(place)
    assert place == "/tmp"  # noqa: S108 - where the service makes its temporary files.
    assert amount_of(volumes[writable[0]["name"]]["emptyDir"]["sizeLimit"]) > 0
    assert all(
        set(volumes[mount["name"]]) <= set(READ_ONLY) for mount in container["volumeMounts"] if mount not in writable
    )


def test_keys_and_models_are_where_the_service_looks() -> None:
    """The file of keys is one of the Secret that is mounted, and the claim, which there is, lies at the folder of models."""
    pod, container = SERVERS["production"]
    settings = settings_in(container)
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    places = {mount["mountPath"]: (volumes[mount["name"]], mount) for mount in container["volumeMounts"]}
    assert settings.api_keys_file
    keys, mount = places[str(settings.api_keys_file.parent)]
    secret = keys["secret"]["secretName"]
    # Kubernetes never changes a file that is mounted alone.
    assert "subPath" not in mount
    guide = (ROOT / "deploy" / "README.md").read_text(encoding="utf-8")
    assert f"create secret generic {secret} --from-file={settings.api_keys_file.name}" in guide
    claim = places[str(settings.models_dir)][0]["persistentVolumeClaim"]
    assert claim["readOnly"] is True
    claims = [
        found["metadata"]["name"] for found in build(FOLDER / "models") if found["kind"] == "PersistentVolumeClaim"
    ]
    assert claims == [claim["claimName"]]


def test_the_writer_writes_where_the_service_reads() -> None:
    """The pod that fills the volume has it at the same place, and may write there."""
    ((_, writer),) = (each for each in PODS if each[0] == "models")
    (container,) = writer["containers"]
    (mount,) = container["volumeMounts"]
    assert mount["mountPath"] == image_environment()["GYOZA_MODELS_DIR"]
    assert not mount.get("readOnly")
    assert writer["volumes"] == [{"name": mount["name"], "persistentVolumeClaim": {"claimName": "gyoza-models"}}]


@EACH_SERVER
def test_memory_holds_what_may_come(pod: Object, container: Object) -> None:
    """The limit holds all bodies that may be on their way twice over, and what the service takes with none."""
    resources = container["resources"]
    least, most = amount_of(resources["requests"]["memory"]), amount_of(resources["limits"]["memory"])
    assert least + 2 * settings_in(container).intake_bytes <= most
    assert amount_of(resources["requests"]["cpu"]) >= settings_in(container).workers
    assert set(resources["limits"]) == {"memory"}


def test_kserve_serves_the_same() -> None:
    """In the InferenceService the container has KServe's name and protocol, and is for the rest the base's own."""
    (_, plain), (_, container) = SERVERS["base"], SERVERS["kserve"]
    assert container["name"] == "kserve-container"
    assert container["ports"][0]["name"] in {"http1", "h2c"}
    assert environment_of(container)["PROTOCOL"] == "v2"
    assert settings_in(container) == settings_in(plain)
    for field in ("resources", "securityContext", "volumeMounts"):
        assert container[field] == plain[field]
