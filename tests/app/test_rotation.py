"""Keys that change while servers run, driven as users drive them."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from app.cli import main
from tests.app.keyrings import write_keys
from tests.app.servers import SECONDS, serving
from tests.app.worlds import LATENTS

CLIENTS = 4


def ask(client: httpx.Client, key: str) -> int:
    """Ask with a key, and return the status."""
    return client.post("/encode", json={"latents": LATENTS}, headers={"X-API-Key": key}).status_code


@pytest.mark.parametrize("workers", ["1", "2"])
def test_keys_change_under_load(folder: Path, tmp_path_factory: pytest.TempPathFactory, workers: str) -> None:
    """A key that stays opens at every moment of a change, in every process; soon the new one does, and the old no more."""
    path = tmp_path_factory.mktemp("keys") / "keys"
    old = write_keys(path, "stays", "goes")
    done = threading.Event()

    def keep_asking(address: str) -> set[int]:
        statuses = set()
        with httpx.Client(base_url=address, timeout=SECONDS) as client:
            while not done.is_set():
                statuses.add(ask(client, old["stays"]))
        return statuses

    arguments = ("--api-keys-file", str(path), "--workers", workers, "--log-level", "warning")
    with serving(folder, *arguments) as (_, address, banner), ThreadPoolExecutor(CLIENTS) as threads:
        assert f"curl {address}/factors -H 'X-API-Key: KEY'" in banner
        asking = [threads.submit(keep_asking, address) for _ in range(CLIENTS)]
        clients = [httpx.Client(base_url=address, timeout=SECONDS) for _ in range(CLIENTS)]
        try:
            assert {ask(client, old["goes"]) for client in clients} == {200}
            stays = next(line for line in path.read_text().splitlines() if line.startswith("stays:"))
            new = write_keys(path.with_name("next"), "comes")["comes"]
            with path.with_name("next").open("a") as lines:
                lines.write(f"{stays}\n")
            path.with_name("next").replace(path)
            end = time.monotonic() + SECONDS
            while {ask(client, new) for client in clients} != {200}:
                assert time.monotonic() < end
            while {ask(client, old["goes"]) for client in clients} != {401}:
                assert time.monotonic() < end
        finally:
            done.set()
            for client in clients:
                client.close()
        assert [each.result() for each in asking] == [{200}] * CLIENTS


def test_a_large_body_without_a_key_is_answered(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A client that sends much without a key, at once or in pieces, still reads its 401; with the key it goes on."""
    path = tmp_path_factory.mktemp("keys") / "keys"
    key = write_keys(path, "web")["web"]
    with (
        serving(folder, "--api-keys-file", str(path)) as (_, address, _),
        httpx.Client(base_url=address, timeout=SECONDS) as client,
    ):
        for _ in range(5):
            assert client.post("/encode", content=b"x" * 5_000_000).status_code == 401
            assert client.post("/encode", content=(b"x" * 50_000 for _ in range(100))).status_code == 401
            assert ask(client, key) == 200


def test_a_server_without_readable_keys_opens_no_port(tmp_path: Path) -> None:
    """A file of keys that can't be read ends the command with 2 and the reason, whoever serves."""
    (tmp_path / "keys").write_text("gyoza_secret\n")
    for workers in ("1", "2"):
        arguments = ["--api-keys-file", str(tmp_path / "keys"), "--workers", workers]
        result = CliRunner().invoke(main, ["serve", *arguments])
        assert result.exit_code == 2
        assert "line 1, must be name:sha256" in result.output
        assert "secret" not in result.output
