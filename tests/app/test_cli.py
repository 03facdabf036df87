"""The command line, run as users run it."""

import os
import re
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address
from pathlib import Path

import httpx
import numpy as np
import pytest
from typer.testing import CliRunner

import gyoza
from app.cli import SUMMARIES, imported, main
from app.serving import url_of
from app.settings import Settings
from tests.app.servers import ROOT, SECONDS, serving, start
from tests.app.worlds import FACTORS, LATENTS, coupled, put, rows


def test_it_serves_until_it_is_told_to_stop(folder: Path) -> None:
    """It prints what was loaded and where to look, answers, logs one line a request, and ends on SIGTERM with 0."""
    put(folder, name="bad", text="?")
    with serving(folder) as (server, address, banner):
        assert "tiny version 1: READY, latents [4] in float32" in banner
        assert "bad version 1: UNAVAILABLE (flow.keras must be a .keras archive)" in banner
        assert "\n! bad version" in banner
        assert "NOT READY" in banner
        assert "--no-strict-readiness" in banner
        assert f"loads the models in {folder} …" in banner
        assert f"Serving on {address} (Ctrl+C ends it): 1 of 2 versions READY" in banner
        assert f"{address}/docs" in banner
        answer = httpx.post(f"{address}/factors", json={"latents": LATENTS}, headers={"X-Request-ID": "abc"})
        assert list(answer.json()["factors"]) == list(FACTORS)
        assert httpx.head(f"{address}/models").content == b""
        server.send_signal(signal.SIGTERM)
        _, errors = server.communicate(timeout=SECONDS)
    assert server.returncode == 0
    assert re.search(r"POST /factors 200 \d+\.\dms abc", errors)
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    ("texts", "path"),
    [({"a": "affine"}, "/factors"), ({"a": "plain"}, "/models/a"), ({"a": "affine", "b": "affine"}, "/models")],
)
def test_what_it_says_to_try_works(tmp_path: Path, texts: dict[str, str], path: str) -> None:
    """The address that is printed behind curl answers, whether the default model has factors, or there is none."""
    for name, text in texts.items():
        put(tmp_path, name=name, text=text)
    with serving(tmp_path) as (_, address, banner):
        (told,) = re.findall(r"curl (\S+)", banner)
        assert told == address + path
        assert httpx.get(told).status_code == 200
        assert "NOT READY" not in banner


@pytest.mark.parametrize(("name", "text"), [("nowhere", "there is no folder {}."), ("empty", "{} holds no model.")])
def test_without_models_it_says_what_it_looked_for(tmp_path: Path, name: str, text: str) -> None:
    """Without a models folder, or a model in it, it says what it looked for and where, and stays up, not ready."""
    (tmp_path / "empty").mkdir()
    with serving(tmp_path / name) as (server, address, banner):
        assert text.format(tmp_path / name) in banner
        assert "<name>/<version>/flow.keras or <name>.keras" in banner
        assert "--no-strict-readiness" not in banner
        assert httpx.get(f"{address}/livez").status_code == 200
        assert httpx.get(f"{address}/readyz").status_code == 503
        server.terminate()
        server.communicate(timeout=SECONDS)
    assert server.returncode == 0


def test_with_bad_models_alone_it_is_not_ready(tmp_path: Path) -> None:
    """Where no version at all is READY, it is not said that the others could be served."""
    put(tmp_path, text="?")
    with serving(tmp_path) as (_, _, banner):
        assert "mend or remove what is UNAVAILABLE and start again." in banner


def test_an_interrupt_ends_it_too(folder: Path) -> None:
    """Ctrl+C ends it with 0 and without a stack trace."""
    with serving(folder, "--log-level", "warning") as (server, _, _):
        server.send_signal(signal.SIGINT)
        _, errors = server.communicate(timeout=SECONDS)
    assert server.returncode == 0
    assert "Traceback" not in errors


def test_it_ends_while_it_loads(folder: Path) -> None:
    """SIGTERM in the middle of a load ends the process with 0; a load that never ends does not hold it up."""
    script = "import sys; from tests.app.worlds import serve_endlessly; serve_endlessly(sys.argv[1:])"
    command = [sys.executable, "-c", script, "serve", "--models-dir", str(folder), "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
        assert server.stdout
        assert "loading begins\n" in iter(server.stdout.readline, "")
        server.terminate()
        rest, _ = server.communicate(timeout=30)
    assert server.returncode == 0
    assert "READY" not in rest


@pytest.mark.parametrize("workers", ["1", "2"])
def test_it_ends_before_it_loads(workers: str, folder: Path) -> None:
    """SIGTERM as soon as it has said that it loads the models ends it with 0, as a container's first process needs it."""
    options = ["serve", "--models-dir", str(folder), "--port", "0", "--workers", workers]
    with start(*options) as server:
        assert server.stdout
        assert "loads the models" in server.stdout.readline()
        server.terminate()
        assert server.wait(SECONDS) == 0


def test_a_path_prefix(folder: Path) -> None:
    """With --root-path it answers what a proxy passes on, stripped or not, and tells browsers of the prefix."""
    with serving(folder, "--root-path", "/gyoza") as (_, address, _):
        assert httpx.post(f"{address}/encode", json={"latents": LATENTS}).status_code == 200
        assert httpx.get(f"{address}/openapi.json").json()["servers"] == [{"url": "/gyoza"}]
        assert httpx.get(f"{address}/nope").status_code == 404
        assert httpx.post(f"{address}/gyoza/encode", json={"latents": LATENTS}).status_code == 200


def test_many_at_once_get_their_own_answers(tmp_path: Path) -> None:
    """16 clients that encode and invert at once, rows of different counts, get only right answers."""
    put(tmp_path, text="coupled")
    flow = coupled()

    def exchange(number: int) -> float:
        error = 0.0
        with httpx.Client(base_url=address, timeout=SECONDS) as client:
            for turn in range(8):
                latents = rows(1 + (7 * number + 5 * turn) % 40, seed=100 * number + turn)
                codes, logdet = flow.encode(latents)
                encoded = client.post("/encode", json={"latents": latents.tolist()}).json()
                inverted = client.post("/invert", json={"codes": codes.tolist()}).json()
                differences = (
                    np.array(encoded["codes"]) - codes,
                    np.array(encoded["logdet"]) - logdet,
                    np.array(inverted["latents"]) - latents,
                )
                error = max(error, *(float(np.abs(difference).max()) for difference in differences))
        return error

    limits = ("--max-batch-rows", "16", "--max-queue-rows", "10000", "--log-level", "warning")
    with serving(tmp_path, *limits) as (_, address, _), ThreadPoolExecutor(16) as threads:
        assert max(threads.map(exchange, range(16))) < 1e-9


def test_a_body_over_the_limit_is_answered(folder: Path) -> None:
    """A client that sends far more than the limit, declared or chunked, still gets its 413."""
    with serving(folder, "--max-json-bytes", "1000") as (_, address, _):
        body = b"x" * 5_000_000
        pieces = (body[start : start + 50_000] for start in range(0, len(body), 50_000))
        for content in (body, pieces):
            answer = httpx.post(f"{address}/encode", content=content)
            assert (answer.status_code, answer.json()["type"]) == (413, "urn:gyoza:too-large")


def test_a_port_in_use(folder: Path) -> None:
    """A port that is in use is told in one line, with what to do, and ends with 1."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = CliRunner().invoke(main, ["serve", "--models-dir", str(folder), "--port", str(port)])
    assert result.exit_code == 1
    assert f"Can't listen on 127.0.0.1 port {port}" in result.output
    assert "--port" in result.output


def test_workers_where_there_can_be_none(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A system whose processes can't hand on connections serves by one process, and says so of more."""
    monkeypatch.delattr(socket, "send_fds")
    result = CliRunner().invoke(main, ["serve", "--models-dir", str(folder), "--workers", "2"])
    assert result.exit_code == 2
    assert "GYOZA_WORKERS: must be 1 on this system" in result.output


def test_wrong_settings_are_named() -> None:
    """A setting that can't be is named as in the environment, and ends with 2."""
    result = CliRunner().invoke(main, ["serve", "--port", "many", "--max-rows", "0"])
    assert result.exit_code == 2
    assert "GYOZA_PORT: " in result.output
    assert "GYOZA_MAX_ROWS: " in result.output
    assert "gyoza serve --help" in result.output


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_a_flag(name: str) -> None:
    """Every setting is a flag of ``gyoza serve`` that tells its variable."""
    text = CliRunner().invoke(main, ["serve", "--help"], env={"COLUMNS": "300", "NO_COLOR": "1"}).output
    assert re.search(rf"--{name.replace('_', '-')}\b", text)
    assert f"GYOZA_{name.upper()}" in text


def test_variables_that_are_no_settings_are_told(folder: Path) -> None:
    """A variable that looks like a setting and is none is told in the log, once, with what may have been meant."""
    variables = {
        "GYOZA_MAX_BATCHROWS": "8",
        "GYOZA_COLOUR": "red",
        "GYOZA_LOG_LEVEL": "warning",
        "GYOZA_PORT": "tcp://[::1]:1",
    }
    with serving(folder, "--workers", "2", env={**os.environ, **variables}) as (server, _, _):
        server.terminate()
        _, errors = server.communicate(timeout=SECONDS)
    assert re.findall(r"WARNING .*(gyoza\.settings: .*)", errors) == [
        (
            "gyoza.settings: GYOZA_PORT is what Kubernetes tells of a service called gyoza, and changes nothing. "
            "Set enableServiceLinks: false in the pod, or GYOZA_PORT itself."
        ),
        "gyoza.settings: GYOZA_COLOUR is no setting, and changes nothing. gyoza serve --help lists all.",
        "gyoza.settings: GYOZA_MAX_BATCHROWS is no setting, and changes nothing. Did you mean GYOZA_MAX_BATCH_ROWS?",
    ]


@pytest.mark.parametrize(
    ("name", "meant"),
    [("GYOZA_API_KEY_FILE", "GYOZA_API_KEYS_FILE"), ("GYOZA_TLS_CERTIFICAT", "GYOZA_TLS_CERTIFICATE")],
)
def test_a_lock_that_was_mistyped_is_refused(name: str, meant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that was meant to keep others out, and would not, ends with 2 and with what may have been meant."""
    monkeypatch.setenv(name, "file")
    result = CliRunner().invoke(main, ["serve", "--port", "0"])
    assert result.exit_code == 2
    assert f"{name} is no setting" in result.output
    assert f"Did you mean {meant}?" in result.output


def test_the_version() -> None:
    """``gyoza --version`` prints the version."""
    assert CliRunner().invoke(main, ["--version"]).output == f"gyoza {gyoza.__version__}\n"


def test_the_list_of_commands_is_quick() -> None:
    """``gyoza --help`` imports nothing that computes or serves: neither Keras, FastAPI, pydantic nor NumPy."""
    script = (
        "import atexit, sys; from app.cli import main\n"
        "heavy = {'fastapi', 'keras', 'numpy', 'pydantic', 'rich', 'starlette', 'tensorflow', 'uvicorn'}\n"
        "atexit.register(lambda: print('imported:', sorted(heavy & set(sys.modules))))\n"
        "main()"
    )
    for argument in ("--help", "--version"):
        done = subprocess.run(
            [sys.executable, "-c", script, argument], cwd=ROOT, capture_output=True, text=True, check=True
        )
        assert done.stdout.endswith("imported: []\n")
    assert "gyoza" in done.stdout


@pytest.mark.parametrize("name", SUMMARIES)
def test_every_command_tells_what_it_does_and_shows_an_example(name: str) -> None:
    """The list of commands and a command's own help say the same, and the help has an example to copy."""
    text = " ".join(CliRunner().invoke(main, [name, "--help"]).output.split())
    assert SUMMARIES[name] in text
    assert f"Example: gyoza {name} " in text
    listed = " ".join(CliRunner().invoke(main, ["--help"]).output.split())
    assert f"{name} {SUMMARIES[name]}" in listed


def test_an_example_names_options_that_are_there() -> None:
    """Every option of an example is one of its command."""
    for name in SUMMARIES:
        command = imported(name)
        (example,) = re.findall(r"Example: gyoza (.*)", command.help)
        options = {option for parameter in command.params for option in parameter.opts}
        assert set(re.findall(r"--\S+", example)) <= options


def test_a_command_that_is_none() -> None:
    """A word that is no command ends with 2 and what may have been meant."""
    result = CliRunner().invoke(main, ["encod", "a"])
    assert result.exit_code == 2
    assert "Did you mean 'encode'?" in result.output


@pytest.mark.parametrize(("words", "expected"), [("gyoza in", ["inspect", "invert"]), ("gyoza check --j", ["--json"])])
def test_a_shell_completes(words: str, expected: list[str]) -> None:
    """A shell completes commands, without importing any, and the options of the one that is typed."""
    script = "import sys; from app.cli import main; main(prog_name='gyoza')"
    environment = {**os.environ, "_GYOZA_COMPLETE": "complete_bash", "COMP_WORDS": words}
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={**environment, "COMP_CWORD": str(words.count(" "))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == expected, done


@pytest.mark.parametrize(
    ("host", "shown"),
    [("127.0.0.1", "127.0.0.1"), (str(IPv4Address(0)), "127.0.0.1"), ("::", "[::1]"), ("::1", "[::1]")],
)
def test_the_address_is_one_to_click(host: str, shown: str) -> None:
    """The address that is printed is one that this machine can open, with the real port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert url_of(Settings(host=host), listener) == f"http://{shown}:{listener.getsockname()[1]}"
