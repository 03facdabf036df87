"""The guides' words are true: their commands and scripts run as they stand there, against a real server."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from safetensors.numpy import load_file

from app.cli import SUMMARIES
from gyoza.loading import load_flow

ROOT = Path(__file__).parents[1]
README, SERVICE, LIBRARY = GUIDES = [
    (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "app/README.md", "gyoza/README.md")
]
ADDRESS = "http://127.0.0.1:8000"
START_SECONDS = 120
SHORTER = "--blocks 2 --width 64 --epochs 15 --seed 1"
"""What makes a smaller flow of the README's data that still tells its factors."""


def blocks(language: str, *guides: str) -> list[str]:
    """The code blocks of one language in guides, by default in all of them, in order."""
    return re.findall(rf"```{language}\n(.*?)```", "\n".join(guides or GUIDES), re.DOTALL)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The address of a server of the bundled model, started as ``make serve`` starts it but on a free port."""
    with serving([str(Path(sys.executable).with_name("gyoza")), "serve"], ROOT) as found:
        yield found


@contextmanager
def serving(command: list[str], folder: Path) -> Iterator[str]:
    """The address of a server that a command starts in a folder, but on a free port."""
    with subprocess.Popen(
        [*command, "--port", "0"], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as server:
        try:
            assert server.stdout
            lines = iter(server.stdout.readline, "")
            yield next(match[0] for line in lines if (match := re.search(r"http://127\.0\.0\.1:\d+", line)))
        finally:
            server.terminate()
            server.communicate(timeout=START_SECONDS)


def test_the_curl_answers_with_named_factors(address: str) -> None:
    """The first screen's curl, as pasted, gives the factors by name."""
    (command,) = (block for block in blocks("sh") if "/digits/factors" in block)
    done = subprocess.run(
        ["bash", "-c", command.replace(ADDRESS, address)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    answer = json.loads(done.stdout)
    assert list(answer["factors"]) == ["residual", "digit", "color", "angle"]
    assert (answer["model"], answer["version"]) == ("digits", "2")


def test_the_curl_edits_factors(address: str) -> None:
    """The section's curl, as pasted, gives what the answer below it shows: edited latents, and images of them."""
    (command,) = (block for block in blocks("sh") if "/digits/edit" in block)
    done = subprocess.run(
        ["bash", "-c", command.replace(ADDRESS, address)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    answer = json.loads(done.stdout)
    (shown,) = (block for block in blocks("json") if "log_likelihood" in block and "before" in block)
    assert list(answer) == re.findall(r'"(\w+)":(?=["\[{])', shown.replace('"before"', "").replace('"after"', ""))
    codes = {factor["name"]: factor for factor in layout_of(address)}
    angle = codes["angle"]
    assert all(row[angle["start"] : angle["start"] + angle["size"]] == [0.0] * 3 for row in answer["codes"])
    assert max(answer["round_trip_error"]) < 1e-3
    outputs = answer["outputs"]
    assert (len(outputs), len(outputs[0]), len(outputs[0][0]), len(outputs[0][0][0])) == (4, 8, 8, 3)


def layout_of(address: str) -> list[dict[str, Any]]:
    """The factors of the bundled model."""
    found: list[dict[str, Any]] = httpx.get(f"{address}/models/digits/factors").json()["factors"]
    return found


def test_the_client_swaps_a_color(address: str) -> None:
    """Four lines give a digit that has the other one's color, and for the rest is what it was."""
    (script,) = (block for block in blocks("python", README) if "gyoza.client" in block)
    assert len([line for line in script.splitlines() if line]) == 4
    told = """
names = ("residual", "digit", "color", "angle")
own, donor, found = (client.factors(rows).factors for rows in (latents[:1], latents[1:2], mixed))
print([name for name in names if abs(found[name] - own[name]).max() < 1e-4], abs(found["color"] - donor["color"]).max() < 1e-4)
client.close()
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script.replace(ADDRESS, address) + told],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "['residual', 'digit', 'angle'] True\n"


def test_the_client_is_awaited(address: str) -> None:
    """The script draws the handwriting of all examples anew, and prints the images' shape and the likelihoods."""
    (script,) = (block for block in blocks("python") if "AsyncClient" in block)
    command = [sys.executable, "-W", "error", "-c", script.replace(ADDRESS, address)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    shape, numbers = re.fullmatch(r"\((.*?)\) \[(.*)\]\n", done.stdout, re.DOTALL).groups()  # type: ignore[union-attr]
    assert shape == "16, 8, 8, 3"
    assert np.isfinite([float(number) for number in numbers.split()]).sum() == 16


def test_the_script_swaps_a_color(address: str) -> None:
    """The script's round trip is within 1e-4 and its swap changes the latents."""
    (script,) = (block for block in blocks("python") if "import httpx" in block and "safetensors" not in block)
    assert len([line for line in script.splitlines() if line]) <= 10
    done = subprocess.run(
        [sys.executable, "-c", script.replace(ADDRESS, address)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert re.findall(r"(?:within 1e-4|changed): (\w+)", done.stdout) == ["True", "True"], done.stdout


def test_the_script_sends_safetensors(address: str) -> None:
    """The script sends a thousand rows as a file, and finds the tensors of the answer in another."""
    (script,) = (block for block in blocks("python") if "httpx" in block and "safetensors" in block)
    done = subprocess.run(
        [sys.executable, "-c", script.replace(ADDRESS, address)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    shapes = {"codes": (1000, 32), "logdet": (1000,), "log_likelihood": (1000,)}
    assert eval(done.stdout) == shapes  # noqa: S307 - printed by the guide's own words.


def test_the_raw_request_is_answered_in_bytes(address: str, tmp_path: Path) -> None:
    """The commands, as pasted, send the rows' bytes alone and get all outputs behind JSON that describes them."""
    (commands,) = (block for block in blocks("sh") if "/v2/" in block)
    (tmp_path / "models").symlink_to(ROOT / "models")
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-ec", commands.replace(ADDRESS, address)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        check=True,
    )
    head, _ = json.JSONDecoder().raw_decode((tmp_path / "answer.bin").read_bytes().decode("latin-1"))
    assert [output["shape"] for output in head["outputs"]] == [[4, 32], [4], [4]]
    assert json.loads(done.stdout)["inputs"] == [{"name": "latents", "datatype": "FP32", "shape": [-1, 32]}]


def test_the_library_example_makes_a_flow_that_serves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library's example builds, trains and saves a flow, and what it saves passes every load check."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for script in (block for block in blocks("python", LIBRARY) if "gyoza.client" not in block):
        exec(script, names)  # noqa: S102 - the guide's own words, which must run.
    loaded = load_flow(tmp_path / "models" / "mine" / "1" / "flow.keras")
    assert dict(loaded.factors or {}) == {"residual": 20, "digit": 9, "color": 3}
    assert all(check.passed for check in loaded.checks), loaded.checks


def test_latents_of_ones_own_become_a_model_in_three_commands(tmp_path: Path) -> None:
    """The section's commands, as pasted but for a shorter training, make a flow that tells its factors and is served."""
    (script,) = (block for block in blocks("python") if "np.save(" in block)
    (commands,) = (block for block in blocks("sh") if "gyoza fit" in block)
    fit, serve, ask = commands.splitlines()
    (tmp_path / "models").mkdir()
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)
    gyoza = Path(sys.executable).with_name("gyoza")
    environment = {**os.environ, "PATH": f"{gyoza.parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", f"{fit} {SHORTER}"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert "Serve it:  gyoza serve" in done.stdout
    report = json.loads((tmp_path / "models" / "pets.fit.json").read_text())
    for factor, scores in report["block_scores"].items():
        assert max(scores, key=scores.get) == factor, report
        assert scores[factor] > 0.8, report
    with serving([str(gyoza), *serve.partition("#")[0].split()[1:]], tmp_path) as own:
        answer = json.loads(subprocess.check_output(["bash", "-c", ask.replace(ADDRESS, own)], text=True))
    assert list(answer["factors"]) == ["residual", "kind", "size"]
    assert (answer["model"], answer["version"]) == ("pets", "1")


def run_in(folder: Path, script: str) -> str:
    """What commands print that are pasted in a folder."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-ec", script], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_flow_of_ones_own_is_packaged_and_served(tmp_path: Path) -> None:
    """The section's commands, as pasted, make a version of a flow that is proven, shown and served."""
    from gyoza.modelling.flow_layers import ActivationNormalization, DisentanglingFlowModel, Reflection

    (commands,) = (block for block in blocks("sh") if "gyoza package" in block)
    *before, serve = commands.splitlines()
    at: dict[str, Any] = {"shape": [8], "axes": [1]}
    factors = {"residual": 5, "kind": 2, "size": 1}
    flow = DisentanglingFlowModel(
        [ActivationNormalization(**at), Reflection(**at, reflection_count=8)], factors=factors
    )
    flow.build((None, 8))
    (tmp_path / "models").mkdir()
    flow.save(tmp_path / "models/pets.keras")
    shown = run_in(tmp_path, "\n".join(before))
    assert "Written: models/animals/1" in shown
    assert "FAILED" not in shown
    assert "Reflection" in shown
    assert (tmp_path / "models/animals/1/plan.safetensors").exists()
    with serving([str(Path(sys.executable).with_name("gyoza")), *serve.split()[1:]], tmp_path) as own:
        answer = httpx.post(f"{own}/models/animals/factors", json={"latents": [[0.0] * 8]}).json()
    assert {name: len(rows[0]) for name, rows in answer["factors"].items()} == factors


@contextmanager
def keyed(mark: str, file: str, folder: Path) -> Iterator[tuple[str, list[str], str]]:
    """Follow the commands that make a key and serve by it: their address, the commands that follow them, and the key."""
    (commands,) = (block for block in blocks("sh", SERVICE) if mark in block)
    make, serve, *then = commands.splitlines()
    key, line = (told.split()[-1] for told in run_in(folder, make).splitlines())
    (folder / file).write_text(f"{line}\n")
    with serving([str(Path(sys.executable).with_name("gyoza")), *serve.split()[1:]], folder) as own:
        yield own, [command.replace(ADDRESS, own) for command in then], key


def test_keys_open_the_service(tmp_path: Path) -> None:
    """The section's commands, as pasted, make a key that opens what is closed to others."""
    (tmp_path / "models").symlink_to(ROOT / "models")
    with keyed("--api-keys-file", "keys.txt", tmp_path) as (own, (ask,), key):
        assert httpx.get(f"{own}/models").status_code == 401
        answer = json.loads(run_in(tmp_path, f"KEY={key}\n{ask}"))
    assert "digits" in {model["name"] for model in answer["models"]}


def test_a_version_comes_and_a_model_goes_without_a_restart(tmp_path: Path) -> None:
    """The section's commands, as pasted, bring a new version into a server that runs, and then take the model out of it."""
    shutil.copytree(ROOT / "models", tmp_path / "models")
    shutil.copytree(ROOT / "models/digits/2", tmp_path / "new/3")
    with keyed("--repository-control", "admins.txt", tmp_path) as (own, (move, load, unload), key):
        loaded = json.loads(run_in(tmp_path, f"KEY={key}\n{move.partition('#')[0]}\n{load}"))
        assert {version["version"]: version["state"] for version in loaded["versions"]}["3"] == "READY"
        assert httpx.get(f"{own}/models/digits/examples").json()["version"] == "3"
        unloaded = json.loads(run_in(tmp_path, f"KEY={key}\n{unload}"))
        assert unloaded["state"] == "UNAVAILABLE"
        assert httpx.get(f"{own}/models/digits/examples").status_code == 503


def test_files_go_through_a_flow_and_back(tmp_path: Path) -> None:
    """The section's commands, as pasted, give codes, factors and the latents again."""
    (commands,) = (block for block in blocks("sh") if "gyoza encode" in block)
    (tmp_path / "models").symlink_to(ROOT / "models")
    latents = np.array(json.loads((ROOT / "models/digits/example.json").read_text())["latents"], np.float32)
    np.save(tmp_path / "latents.npy", latents)
    run_in(tmp_path, commands)
    assert set(load_file(tmp_path / "codes.safetensors")) == {"codes", "logdet", "log_likelihood"}
    assert "factors.digit" in load_file(tmp_path / "factors.safetensors")
    np.testing.assert_allclose(np.load(tmp_path / "back.npy"), latents, atol=1e-4)


def test_no_block_is_left_out() -> None:
    """Every command and script of the guides is in a test here, but for those that install: a new one needs a test too."""
    install = ("make serve", "docker build")
    curls = ("/digits/factors", "/digits/edit", "/v2/")
    tried = (*curls, "gyoza fit", "gyoza package", "gyoza encode", "--api-keys-file", "--repository-control")
    assert [block for block in blocks("sh") if not any(mark in block for mark in (*install, *tried))] == []
    scripts = ("gyoza.client", "import httpx", "np.save(")
    assert [block for block in blocks("python", README, SERVICE) if not any(mark in block for mark in scripts)] == []


def test_every_command_is_in_the_table() -> None:
    """The section on the command line names every command and no other."""
    section = LIBRARY.partition("## The command line")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    assert sorted(re.findall(r"`gyoza (\w+)`", " ".join(rows))) == sorted(SUMMARIES)
