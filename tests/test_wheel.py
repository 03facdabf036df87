"""The wheel and the source archive: what they hold, what they say of themselves, and that the wheel alone serves."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from typing import Any

import httpx
import pytest

import gyoza

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
STEM = f"gyoza_serve-{gyoza.__version__}"
NOT_PACKED = (".md", ".png")
"""What explains the checkout: its guides, and the pictures in them."""
SECONDS = 60
OUTSIDE = {
    name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "GYOZA_", "VIRTUAL_ENV"))
}
"""The environment of commands that shall find nothing of the checkout."""


def tracked(*folders: str) -> list[str]:
    """Return what git tracks below folders of the checkout, so that a stray file is in no comparison and in no wheel."""
    done = subprocess.run(["git", "ls-files", "-z", *folders], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"The checkout must be a clone, so that git can say what belongs to it. {done.stderr}"
    return [name for name in done.stdout.split("\0") if name and (ROOT / name).exists()]


def environment_in(folder: Path, *packages: str, cwd: Path) -> Path:
    """Make an environment that holds packages, what they need and nothing else, and return its folder of commands.

    Like the Makefile, by uv where it is installed, and else by the pip beside this Python, which then is there.
    """
    uv, python = shutil.which("uv"), str(folder / "bin" / "python")
    make = (
        [uv, "venv", "--quiet", "--python", sys.executable] if uv else [sys.executable, "-m", "venv", "--without-pip"]
    )
    install = (
        [uv, "pip", "install", "--quiet", "--python", python]
        if uv
        else [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-compile"]
    )
    for command in ([*make, str(folder)], [*install, *packages]):
        done = subprocess.run(command, cwd=cwd, env=OUTSIDE, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    return folder / "bin"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of what is built of a copy of what git tracks: both archives, and in ``again`` the wheel of the source archive."""
    folder = tmp_path_factory.mktemp("built")
    for name in tracked("."):
        (folder / "copy" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / "copy" / name)
    commands = environment_in(folder / "builder", *PROJECT["build-system"]["requires"], cwd=folder)
    hatch = [str(commands / "python"), "-m", "hatchling", "build", "--directory"]
    subprocess.run([*hatch, str(folder)], cwd=folder / "copy", env=OUTSIDE, capture_output=True, check=True)
    with tarfile.open(folder / f"{STEM}.tar.gz") as archive:
        archive.extractall(folder / "source", filter="data")
    again = [*hatch, str(folder / "again"), "--target", "wheel"]
    subprocess.run(again, cwd=folder / "source" / STEM, env=OUTSIDE, capture_output=True, check=True)
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    """The wheel, whose name says its version and that it serves every platform."""
    return built / f"{STEM}-py3-none-any.whl"


def metadata_of(wheel: Path) -> Message:
    """Return what a wheel says of itself."""
    with zipfile.ZipFile(wheel) as archive:
        return message_from_bytes(archive.read(f"{STEM}.dist-info/METADATA"))


def test_the_wheel_holds_the_two_packages_and_nothing_else(wheel: Path) -> None:
    """Every module, page and marker that git tracks below app/ and gyoza/ is in it as it is there, with the metadata."""
    expected = [name for name in tracked("app", "gyoza") if not name.endswith(NOT_PACKED)]
    assert {"app/explorer/index.html", "app/api/docs.html", "app/py.typed", "gyoza/py.typed"} < {*expected}
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        assert {name for name in names if not name.startswith(f"{STEM}.dist-info/")} == {*expected}
        assert all(archive.read(name) == (ROOT / name).read_bytes() for name in expected)
        own = {name.partition("/")[2] for name in names} - {name.partition("/")[2] for name in expected}
        assert own == {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE"}
        assert archive.read(f"{STEM}.dist-info/licenses/LICENSE") == (ROOT / "LICENSE").read_bytes()
        assert (
            archive.read(f"{STEM}.dist-info/entry_points.txt").split()
            == b"[console_scripts] gyoza = app.cli:main".split()
        )


def test_the_source_archive_holds_what_builds_the_wheel(built: Path, wheel: Path) -> None:
    """It has the packages and the files that pyproject.toml names, no models, tests or benchmarks, and makes the same wheel."""
    with tarfile.open(built / f"{STEM}.tar.gz") as archive:
        names = {name.removeprefix(f"{STEM}/") for name in archive.getnames()}
    packages = {name for name in tracked("app", "gyoza") if not name.endswith(NOT_PACKED)}
    assert names == packages | {"LICENSE", "PKG-INFO", "README.md", "pyproject.toml", ".gitignore"}
    assert (built / "again" / wheel.name).read_bytes() == wheel.read_bytes()


def test_the_wheel_says_what_it_is(wheel: Path) -> None:
    """Its metadata has the version that the library tells, the README, the licence, the dependencies and the extras."""
    metadata = metadata_of(wheel)
    assert (metadata["Name"], metadata["Version"]) == ("gyoza-serve", gyoza.__version__)
    assert (metadata["License-Expression"], metadata["License-File"]) == ("MIT", "LICENSE")
    assert metadata["Requires-Python"] == PROJECT["project"]["requires-python"]
    assert metadata["Description-Content-Type"] == "text/markdown"
    description = metadata.get_payload(decode=True)
    assert isinstance(description, bytes)
    assert description.strip() == (ROOT / "README.md").read_bytes().strip()
    assert {*metadata.get_all("Provides-Extra", [])} == PROJECT["project"]["optional-dependencies"].keys()
    always = [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert len(always) == len(PROJECT["project"]["dependencies"])


@pytest.fixture(scope="module")
def commands(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of commands of an environment that holds the wheel and its base dependencies, at the pinned versions."""
    folder = tmp_path_factory.mktemp("empty")
    pinned = re.findall(
        r"^([\w.-]+==[^\\\n]+)", (ROOT / "requirements/serve.txt").read_text(encoding="utf-8"), re.MULTILINE
    )
    # Constraints must have no hashes: with them, pip would want one of the wheel too.
    (folder / "constraints.txt").write_text("\n".join(pinned))
    return environment_in(folder / "environment", str(wheel), "--constraint", "constraints.txt", cwd=folder)


def test_the_version_is_told(commands: Path, tmp_path: Path) -> None:
    """``gyoza --version`` of the wheel tells the version, from its own files and without Keras or TensorFlow."""
    done = subprocess.check_output([commands / "gyoza", "--version"], cwd=tmp_path, env=OUTSIDE, text=True)
    assert done == f"gyoza {gyoza.__version__}\n"
    script = "import app, gyoza, importlib.util as i; print(app.__file__, gyoza.__file__, *map(i.find_spec, ('keras', 'tensorflow')))"
    told = subprocess.check_output([commands / "python", "-c", script], cwd=tmp_path, env=OUTSIDE, text=True).split()
    assert all(Path(place).is_relative_to(commands.parent) for place in told[:2]), told
    assert told[2:] == ["None", "None"]


@contextmanager
def serving(command: list[str], folder: Path, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server that a command starts in a folder on a free port, once it serves, and its address."""
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    command = [*command, "--port", "0"]
    with subprocess.Popen(command, cwd=folder, env={**OUTSIDE, **environment}, **pipes) as server:
        try:
            assert server.stdout
            lines: list[str] = []
            while not (found := re.search(r"Serving on (http://127\.0\.0\.1:\d+)", (lines or [""])[-1])):
                lines.append(server.stdout.readline())
                assert lines[-1], "".join(lines)
            yield server, found[1]
        finally:
            server.kill()


def test_the_wheel_serves_as_the_checkout_does(commands: Path, tmp_path: Path) -> None:
    """From an empty folder, the README's first request gets the checkout's own answer, and SIGTERM ends it with 0."""
    shutil.copytree(ROOT / "models", tmp_path / "copy")
    (tmp_path / "nothing").mkdir()
    body = (ROOT / "models/digits/example.json").read_bytes()
    own = [str(commands / "gyoza"), "serve", "--models-dir", str(tmp_path / "copy")]
    checkout = [str(Path(sys.executable).with_name("gyoza")), "serve"]
    with (
        serving(own, tmp_path / "nothing") as (server, address),
        serving(checkout, ROOT, PYTHONPATH=str(ROOT)) as (_, other),
    ):
        path, headers = "/models/digits/factors", {"Content-Type": "application/json"}
        answer = httpx.post(address + path, content=body, headers=headers)
        assert answer.status_code == 200
        assert answer.content == httpx.post(other + path, content=body, headers=headers).content
        files = {f"/explorer/{Path(name).name}": name for name in tracked("app/explorer") if not name.endswith(".html")}
        for page, source in {"/": "app/explorer/index.html", **files}.items():
            assert httpx.get(address + page).raise_for_status().content == (ROOT / source).read_bytes()
        assert httpx.get(f"{address}/docs").raise_for_status().content == httpx.get(f"{other}/docs").content
        server.send_signal(signal.SIGTERM)
        output, _ = server.communicate(timeout=SECONDS)
    assert server.returncode == 0, output
    assert "Traceback" not in output
