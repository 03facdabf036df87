"""The kustomizations are whole, and build what kustomize itself builds of them."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

import gyoza
from tests.deploy.kubernetes.kustomize import FILE, KEYS, Object, build, described, name_of
from tests.deploy.kubernetes.manifests import APPLIED, FOLDER, FOLDERS, ROOT

COMMANDS = (("kustomize", "build"), ("kubectl", "kustomize"))
COMMAND = next((command for command in COMMANDS if shutil.which(command[0])), None)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_each_file_is_named_once(folder: Path) -> None:
    """A kustomization names every file beside it, no other one, and folders that have a kustomization of the right kind."""
    told = described(folder)
    names = [*told.get("resources", []), *(patch["path"] for patch in told.get("patches", []))]
    assert sorted(name for name in names if not (folder / name).is_dir()) == sorted(
        path.name for path in folder.glob("*.yaml") if path.name != FILE
    )
    for kind, field in (("Kustomization", "resources"), ("Component", "components")):
        for name in told.get(field, []):
            assert (folder / name).suffix or described(folder / name)["kind"] == kind


def test_no_file_is_without_a_kustomization() -> None:
    """Every folder with manifests has a kustomization, and the production overlay names all components."""
    assert {path.parent for path in FOLDER.rglob("*.yaml")} == set(FOLDERS)
    production = FOLDER / "production"
    named = {(production / name).resolve() for name in described(production)["components"]}
    assert named == {folder for folder in FOLDERS if described(folder)["kind"] == "Component"}


def test_the_guide_names_what_there_is() -> None:
    """Its table has every folder, and every file of the base; its commands name folders that are applied."""
    guide = (ROOT / "deploy" / "README.md").read_text(encoding="utf-8")
    files = {path for path in (FOLDER / "base").glob("*.yaml") if path.name != FILE}
    named = {FOLDER / name for name in re.findall(r"^\| `(\S+)` \|", guide, re.MULTILINE)}
    assert files | set(FOLDERS) - {FOLDER / "base"} <= named
    assert {path for path in named if path.is_relative_to(FOLDER)} - files <= set(FOLDERS)
    applied = {FOLDER / name for name in re.findall(r"-k (?:deploy/kubernetes|cluster)/(\S+?)`?\s", guide)}
    assert applied == {FOLDER / name for name in ("base", "kserve", "models", "production")}
    assert "cp -r deploy/kubernetes cluster\nkubectl apply -k cluster/production" in guide


@pytest.mark.parametrize("folder", APPLIED, ids=lambda folder: folder.name)
def test_the_image_is_set(folder: Path) -> None:
    """Each image is the one name that a kustomization may put another in place of, with the version of this package."""
    images = {container["image"] for found in build(folder) for container in containers_in(found)}
    (told,) = described(folder)["images"]
    assert told["name"] == "gyoza"
    assert images == {f"{told.get('newName', 'gyoza')}:{gyoza.__version__}"}


def containers_in(found: Any) -> list[Object]:
    """All containers, wherever they are."""
    if isinstance(found, list):
        return [container for item in found for container in containers_in(item)]
    if not isinstance(found, dict):
        return []
    return [*found.get("containers", []), *containers_in(list(found.values()))]


@pytest.mark.skipif(COMMAND is None, reason="kustomize (or kubectl 1.21 or newer) must be installed")
@pytest.mark.parametrize("folder", APPLIED, ids=lambda folder: folder.name)
def test_kustomize_builds_the_same(folder: Path) -> None:
    """What the other tests look at is what kustomize makes of the folder, but for the order."""
    assert COMMAND
    done = subprocess.run([*COMMAND, str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert in_order(list(yaml.safe_load_all(done.stdout))) == in_order(build(folder))


def in_order(found: Any, field: str = "") -> Any:
    """A value whose lists are sorted, where their order means nothing."""
    if isinstance(found, dict):
        return {name: in_order(value, name) for name, value in found.items()}
    if not isinstance(found, list):
        return found
    if not field:
        found = sorted(found, key=name_of)
    elif field in KEYS and isinstance(found[0], dict) and KEYS[field] in found[0]:
        found = sorted(found, key=lambda item: item[KEYS[field]])
    return [in_order(item, "-") for item in found]
