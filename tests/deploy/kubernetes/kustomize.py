"""As much of kustomize as the manifests use, so that they are tested as a cluster gets them where it is not installed."""

from pathlib import Path
from typing import Any

import yaml

Object = dict[str, Any]
FILE = "kustomization.yaml"
KNOWN = {"apiVersion", "kind", "resources", "components", "patches", "images"}
KEYS = {
    "containers": "name",
    "env": "name",
    "ports": "containerPort",
    "volumeMounts": "mountPath",
    "volumes": "name",
}
"""What tells the items of a list apart, of those lists that patches add to; others are replaced."""


def documents(path: Path) -> list[Object]:
    """The objects of a file."""
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


def described(folder: Path) -> Object:
    """What the kustomization of a folder says, which must be what is understood here."""
    (told,) = documents(folder / FILE)
    assert set(told) <= KNOWN, f"{folder / FILE} must hold {KNOWN} alone. Received: {set(told)}."
    return told


def build(folder: Path, onto: list[Object] | None = None) -> list[Object]:
    """The objects of a folder; of a component: put onto those of whoever names it."""
    told = described(folder)
    objects = [*(onto or [])]
    for name in told.get("resources", []):
        objects += build(folder / name) if (folder / name).is_dir() else documents(folder / name)
    for name in told.get("components", []):
        objects = build(folder / name, objects)
    for patch in told.get("patches", []):
        for change in documents(folder / patch["path"]):
            (index,) = (number for number, found in enumerate(objects) if name_of(found) == name_of(change))
            objects[index] = merged(objects[index], change)
    for image in told.get("images", []):
        objects = [with_image(found, image) for found in objects]
    return objects


def name_of(found: Object) -> tuple[str, str, str]:
    """What tells an object from others."""
    return found["apiVersion"], found["kind"], found["metadata"]["name"]


def merged(old: Any, new: Any, field: str = "") -> Any:
    """A value with a strategic merge patch applied."""
    if isinstance(old, dict) and isinstance(new, dict):
        return old | {name: merged(old[name], value, name) if name in old else value for name, value in new.items()}
    if field in KEYS and isinstance(old, list):
        key = KEYS[field]
        items = {item[key]: item for item in old}
        return list((items | {item[key]: merged(items.get(item[key]), item) for item in new}).values())
    return new


def with_image(found: Any, image: Object) -> Any:
    """A value in which all containers of an image have the one that a kustomization puts in its place."""
    if isinstance(found, list):
        return [with_image(item, image) for item in found]
    if not isinstance(found, dict):
        return found
    changed = {name: with_image(value, image) for name, value in found.items()}
    name, _, tag = str(changed.get("image", "")).partition(":")
    if name == image["name"]:
        changed["image"] = f"{image.get('newName', name)}:{image.get('newTag', tag)}"
    return changed
