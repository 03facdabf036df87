"""The manifests as a cluster gets them, and what the image says that they run."""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.cli import imported
from app.commands.serve import settings_of
from app.settings import Settings
from tests.deploy.kubernetes.kustomize import FILE, Object, build

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "deploy" / "kubernetes"
FOLDERS = sorted(path.parent for path in FOLDER.rglob(FILE))
APPLIED = [folder for folder in FOLDERS if "components" not in folder.parts]
"""The folders that are applied as they are."""
DOCKERFILE = re.sub(r"\\\n", " ", (ROOT / "Dockerfile").read_text(encoding="utf-8"))
UNITS = {"m": 1e-3, "": 1, "Mi": 2**20, "Gi": 2**30}


def instructions(name: str) -> list[str]:
    """What follows one instruction of the Dockerfile, wherever it stands."""
    return re.findall(rf"^{name} +(.+?) *$", DOCKERFILE, re.MULTILINE)


def image_environment() -> dict[str, str]:
    """The environment that the image brings."""
    words = [word for line in instructions("ENV") for word in shlex.split(line)]
    return dict(word.split("=", 1) for word in words)


def image_command() -> list[str]:
    """What the image runs."""
    command: list[str] = json.loads(instructions("CMD")[-1])
    return command


def labels_of(found: Object) -> dict[str, str]:
    """The labels of the pods that an object makes."""
    template = found["spec"].get("template", found)
    labels: dict[str, str] = template["metadata"].get("labels", {})
    return labels


def pod_of(found: Object) -> Object | None:
    """How an object's pods are; None if it makes none."""
    spec = found["spec"]
    ways = {
        "Deployment": lambda: spec["template"]["spec"],
        "Pod": lambda: spec,
        "InferenceService": predictor_of(found),
    }
    pod: Object | None = ways.get(found["kind"], lambda: None)()
    return pod


def predictor_of(found: Object) -> Any:
    """A function that returns the pod of an InferenceService."""
    return lambda: found["spec"]["predictor"]


def pods() -> Iterator[tuple[str, Object]]:
    """All pods, by the folder that makes them."""
    for folder in APPLIED:
        for found in build(folder):
            if pod := pod_of(found):
                yield folder.name, pod


def servers() -> dict[str, tuple[Object, Object]]:
    """The pods that serve, and their container, by the folder that makes them: the others have commands of their own."""
    found = ((name, pod, pod["containers"][0]) for name, pod in pods())
    return {name: (pod, container) for name, pod, container in found if "command" not in container}


def environment_of(container: Object) -> dict[str, str]:
    """What the process in a container finds in its environment, as far as image and manifest say it."""
    return image_environment() | {item["name"]: item["value"] for item in container.get("env", [])}


def settings_in(container: Object) -> Settings:
    """The settings that the service has in a container, read by its own command line."""
    command = container.get("args", image_command())
    assert command[:2] == image_command()[:2] == ["gyoza", "serve"]
    options = imported("serve").make_context("gyoza serve", list(command[2:])).params
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment_of(container).items():
            if name.startswith("GYOZA_"):
                patch.setenv(name, value)
        return settings_of(options)


def amount_of(quantity: Any) -> float:
    """The number that a quantity of Kubernetes means."""
    number, unit = re.fullmatch(r"([\d.]+)(\w*)", str(quantity)).groups()  # type: ignore[union-attr]
    return float(number) * UNITS[unit]
